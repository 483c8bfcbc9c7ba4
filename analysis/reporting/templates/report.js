// Search, filter and sort in long tables, the contents beside a page, the way back up. Works from file:// and fetches nothing.
(function () {
  "use strict";
  var root = document.documentElement, LONG = 20, FEW = 12;
  var words = {
    search: ["Search in this table", "在表中查找"], all: ["all", "全部"], rows: ["rows", "行"], of: ["of", "/"]
  };
  function zh() { return root.dataset.language === "zh"; }
  function say(key) { return words[key][zh() ? 1 : 0]; }
  function make(tag, attributes, children) {
    var element = document.createElement(tag);
    Object.keys(attributes || {}).forEach(function (key) { element.setAttribute(key, attributes[key]); });
    (children || []).forEach(function (child) { element.append(child); });
    return element;
  }
  // a text that turns with the page
  function both(tag, en, chinese) {
    return make(tag, { "data-of": "text", "data-en": en, "data-zh": chinese }, [zh() ? chinese : en]);
  }
  function shown(cell) {
    var own = cell.querySelector(zh() ? ".in-zh" : ".in-en");
    return (own || cell).textContent.trim();
  }
  function amount(text) {
    var plain = text.replace(/[,\s%]/g, "").replace("\u2212", "-");
    return plain === "" ? null : isNaN(plain) ? undefined : Number(plain);
  }
  function compare(a, b) {
    var x = amount(a), y = amount(b);
    if (x === null || y === null) { return (x === null) - (y === null); }
    if (x !== undefined && y !== undefined) { return x - y; }
    return a.localeCompare(b, zh() ? "zh-Hans-CN" : "en");
  }

  // groups of rows that belong together: an estimate and its standard error below
  function groups(table) {
    var found = [];
    table.querySelectorAll("tbody tr").forEach(function (row) {
      if (row.classList.contains("se") && found.length) { found[found.length - 1].push(row); } else { found.push([row]); }
    });
    return found;
  }

  function long(table) {
    var rows = groups(table);
    if (rows.length <= LONG || table.dataset.long) { return; }
    table.dataset.long = "yes";
    var search = make("input", { type: "search" }), told = make("output", { "aria-live": "polite" }), picks = [];
    search.setAttribute("aria-label", say("search"));
    search.dataset.of = "aria-label"; search.dataset.en = words.search[0]; search.dataset.zh = words.search[1];
    var tools = make("div", { "class": "tools" }, [make("label", {}, [both("span", "Search", "查找"), search])]);
    var plain = table.classList.contains("list"), heads = plain ? Array.from(table.tHead.rows[0].cells) : [];

    heads.forEach(function (head, column) {
      var values = new Set(rows.map(function (own) { return own[0].cells[column].textContent.trim(); }));
      if (column && values.size > 1 && values.size <= FEW && values.size < rows.length / 2 && !head.classList.contains("number")) {
        var pick = make("select", {}, [both("option", "all", "全部")]), seen = {};
        pick.options[0].value = "";
        rows.forEach(function (own) {
          var cell = own[0].cells[column], value = cell.textContent.trim();
          if (!seen[value]) {
            seen[value] = true;
            var en = cell.querySelector(".in-en"), chinese = cell.querySelector(".in-zh");
            var option = both("option", (en || cell).textContent.trim() || "–", (chinese || cell).textContent.trim() || "–");
            option.value = value || "–"; pick.append(option);
          }
        });
        pick.addEventListener("input", refresh);
        picks.push([column, pick]);
        var name = make("span"); name.innerHTML = head.innerHTML;
        tools.append(make("label", {}, [name, pick]));
      }
      var button = make("button", { type: "button", "class": "sort" });
      button.innerHTML = head.innerHTML;
      head.replaceChildren(button);
      button.addEventListener("click", function () {
        var down = head.getAttribute("aria-sort") === "ascending";
        heads.forEach(function (other) { other.removeAttribute("aria-sort"); });
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
        var ordered = rows.slice().sort(function (a, b) {
          var order = compare(shown(a[0].cells[column]), shown(b[0].cells[column]));
          return down ? -order : order;
        });
        ordered.forEach(function (own) { own.forEach(function (row) { table.tBodies[0].append(row); }); });
      });
    });
    function refresh() {
      var wanted = search.value.trim().toLowerCase(), count = 0;
      rows.forEach(function (own) {
        var text = own.map(function (row) { return row.textContent; }).join(" ").toLowerCase();
        var fits = text.indexOf(wanted) >= 0 && picks.every(function (pick) {
          return !pick[1].value || (own[0].cells[pick[0]].textContent.trim() || "–") === pick[1].value;
        });
        own.forEach(function (row) { row.hidden = !fits; });
        count += fits;
      });
      told.textContent = count + " " + say("of") + " " + rows.length + " " + say("rows");
    }
    search.addEventListener("input", refresh);
    tools.append(told);
    (table.closest(".scroll") || table).before(tools);
    refresh();
    document.addEventListener("language", refresh);
  }

  function contents() {
    var nav = document.querySelector("nav.contents"), top = document.querySelector("a.top");
    if (top) {
      var far = function () { top.hidden = window.scrollY < window.innerHeight; };
      window.addEventListener("scroll", far, { passive: true });
      far();
    }
    if (!nav) { return; }
    var box = nav.querySelector("details"), narrow = window.matchMedia("(max-width: 62rem)");
    var fit = function () { box.open = !narrow.matches; };
    narrow.addEventListener("change", fit);
    fit();
    nav.addEventListener("click", function (event) { if (event.target.closest("a") && narrow.matches) { box.open = false; } });
    nav.querySelector("summary").addEventListener("click", function (event) { if (!narrow.matches) { event.preventDefault(); } });
    var links = {};
    nav.querySelectorAll("a").forEach(function (link) { links[decodeURIComponent(link.hash.slice(1))] = link; });
    var heads = Object.keys(links).map(function (id) { return document.getElementById(id); }).filter(Boolean), last = null;
    var follow = function () {
      var here = heads[0];
      heads.forEach(function (head) { if (head.getBoundingClientRect().top < 120) { here = head; } });
      var link = here && links[here.id];
      if (link === last) { return; }
      if (last) { last.removeAttribute("aria-current"); }
      link.setAttribute("aria-current", "location");
      if (!narrow.matches && (link.offsetTop < nav.scrollTop || link.offsetTop > nav.scrollTop + nav.clientHeight - 60)) {
        nav.scrollTop = link.offsetTop - nav.clientHeight / 3;
      }
      last = link;
    };
    window.addEventListener("scroll", follow, { passive: true });
    follow();
  }

  window.pilotcity = { make: make, both: both, zh: zh, long: long };
  document.querySelectorAll("table").forEach(long);
  contents();
})();
