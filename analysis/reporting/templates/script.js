// Shows the page in one of its two languages and remembers which; works from file://, and without it the page is English.
(function () {
  "use strict";
  var root = document.documentElement, key = "pilotcity-language", language = null;
  try { language = localStorage.getItem(key); } catch (error) { /* a browser may refuse to remember */ }
  var asked = /[?&]language=(en|zh)\b/.exec(location.search);
  if (asked) { language = asked[1]; }
  if (language !== "zh") { language = "en"; }

  function show() {
    root.dataset.language = language;
    root.lang = language === "zh" ? "zh-Hans" : "en";
    document.querySelectorAll("[data-zh]").forEach(function (element) {
      var text = element.dataset[language];
      if (element.dataset.of === "text") { element.textContent = text; } else { element.setAttribute(element.dataset.of, text); }
    });
  }

  // the notice of a failed refresh lies beside the site only after one: without it, its place is not kept free
  document.addEventListener("error", function (event) {
    if (event.target.classList && event.target.classList.contains("refresh")) { event.target.hidden = true; }
  }, true);

  show();
  document.addEventListener("DOMContentLoaded", function () {
    show();
    var button = document.getElementById("language");
    if (!button) { return; }
    button.hidden = false;
    button.addEventListener("click", function () {
      language = language === "zh" ? "en" : "zh";
      try { localStorage.setItem(key, language); } catch (error) { /* shown all the same */ }
      show();
      document.dispatchEvent(new Event("language"));
    });
  });
})();
