// Shades the map of a study by year: pilot cities or the value of its first outcome; tells of a city under the pointer or chosen.
(function (data) {
  "use strict";
  var map = document.getElementById("map-figure"), year = map.querySelector("input[type=range]");
  var told = map.querySelector(".told"), pick = map.querySelector("select"), chosen = "";

  function zh() { return document.documentElement.dataset.language === "zh"; }
  function value(code) { var own = data.values[code]; return own ? own[year.value - data.first] : null; }
  function shade(code) {
    if (map.querySelector("input[value=pilots]").checked) {
      var since = data.adoption[code];
      return since === undefined ? "never" : since <= year.value ? "pilot" : "later";
    }
    var own = value(code);
    if (own === null) { return "missing"; }
    for (var level = 1; level < data.bounds.length - 1 && own > data.bounds[level]; level += 1) { /* the class it falls in */ }
    return "level" + level;
  }
  function tell() {
    if (!chosen) { return; }
    var since = data.adoption[chosen], own = value(chosen), name = data.names[chosen], text = zh() ? name[1] : name[0] + " " + name[1];
    text += zh() ? (since ? "，" + since + "年起试点" : "，非试点") : (since ? ", pilot since " + since : ", never a pilot");
    if (data.column) { text += (zh() ? "；" + data.column[1] : "; " + data.column[0]) + " " + year.value + (zh() ? "：" : ": ") + (own === null ? (zh() ? "缺失" : "missing") : own); }
    told.textContent = text;
  }
  function draw() {
    map.querySelector("output").textContent = year.value;
    var pilots = map.querySelector("input[value=pilots]").checked;
    map.querySelectorAll(".legend").forEach(function (legend) { legend.hidden = legend.dataset.of !== (pilots ? "pilots" : "values"); });
    map.querySelectorAll("path[data-code]").forEach(function (path) { path.setAttribute("class", shade(path.dataset.code) + (path.dataset.code === chosen ? " chosen" : "")); });
    tell();
  }
  function choose(code) { if (data.names[code]) { chosen = code; pick.value = code; draw(); } }

  Object.keys(data.names).forEach(function (code) {
    var option = document.createElement("option");
    option.value = code; option.textContent = data.names[code].join(" ");
    pick.appendChild(option);
  });
  map.querySelector("form").hidden = false;
  map.querySelector("svg").addEventListener("pointerover", function (event) { choose(event.target.dataset.code); });
  map.querySelector("svg").addEventListener("click", function (event) { choose(event.target.dataset.code); });
  pick.addEventListener("change", function () { choose(pick.value); });
  map.querySelector("form").addEventListener("input", draw);
  map.querySelector("form").addEventListener("submit", function (event) { event.preventDefault(); });
  new MutationObserver(tell).observe(document.documentElement, { attributes: true, attributeFilter: ["data-language"] });
  draw();
})
