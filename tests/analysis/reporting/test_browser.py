"""Every page of the sample site in a browser: no errors, nothing wider than a phone, legible, walked by keyboard."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from analysis.reporting.dictionary import Origin, complete
from analysis.reporting.site import StudyReport, WarehouseReport, build
from analysis.studies.spec import DATA

sys.path.insert(0, str(Path(__file__).parent))
import browser as chromium

pytestmark = [
    pytest.mark.xdist_group("browser"),
    pytest.mark.skipif(
        not chromium.found(), reason="no Chromium on the PATH: install it to test the pages in a browser"
    ),
]
PAGES = ("index", "trial", "dictionary", "warehouse")
#: Width of an A4 page between its margins, in CSS pixels.
A4 = 718
#: Of WCAG 2.1 AA: text, and text of 24 px or bold of 18.66 px.
CONTRAST, CONTRAST_LARGE = 4.5, 3.0

#: Texts whose colour is too near to what lies behind them, from the colours that the style sheet's variables come to.
FAINT = """
(() => {
  const parse = text => (text.match(/[\\d.]+/g) || []).map(Number);
  const linear = v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
  const light = ([r, g, b]) => 0.2126 * linear(r / 255) + 0.7152 * linear(g / 255) + 0.0722 * linear(b / 255);
  const behind = element => {
    for (let at = element; at; at = at.parentElement) {
      const colour = parse(getComputedStyle(at).backgroundColor);
      if (colour.length === 3 || colour[3] > 0) return colour;
    }
    return [255, 255, 255];
  };
  const faint = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const text = walker.currentNode.textContent.trim(), element = walker.currentNode.parentElement;
    if (!text || !element.getClientRects().length || ["SCRIPT", "STYLE"].includes(element.tagName)) continue;
    const style = getComputedStyle(element), size = parseFloat(style.fontSize);
    const [a, b] = [light(parse(style.color)), light(behind(element))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    if (ratio < (large ? LARGE : SMALL)) faint.push(text.slice(0, 40) + " " + ratio.toFixed(2));
  }
  return faint;
})()
""".replace("LARGE", str(CONTRAST_LARGE)).replace("SMALL", str(CONTRAST))
#: What sticks out of the page to the right, apart from what scrolls in a box of its own.
WIDE = """
[...document.querySelectorAll("body *")].filter(e => !e.closest(".scroll, .hidden, .skip") && e.getClientRects().length
  && e.getBoundingClientRect().right > document.documentElement.clientWidth + 0.5)
  .map(e => e.tagName + " " + e.textContent.trim().slice(0, 40))
"""
#: The texts that are shown.
SHOWN = "document.body.innerText"


@pytest.fixture(scope="module")
def site(tmp_path_factory, study, panel, results, truth) -> Path:
    folder = tmp_path_factory.mktemp("pages")
    base = pd.DataFrame({"study": ["trial"], "column_name": ["x"], "position": [1]})
    dictionary = complete(base, {"city_year": panel, "trial": panel}, [study], Origin(), is_sample=True)
    warehouse = WarehouseReport(
        layers=pd.DataFrame({"layer": ["raw"], "table": ["raw.yearbook"], "rows": [1234567]}),
        checks=pd.DataFrame(
            {"rule": ["one row a city and year"] * 3, "holds": ["yes"] * 3, "observed": ["0 of 9 rows"] * 3}
        ),
        rejects=pd.DataFrame(
            {"rule": ["unknown_city"] * 9, "message": ["a long sentence about 地级市.xlsx, " * 9] * 9}
        ),
        files=pd.DataFrame({"file": [f"a/very/long/path/of/a/{'workbook' * 6}.xlsx"], "sha256": ["cd" * 32]}),
        is_sample=True,
    )
    downloads = {kind: f"exports/trial.{kind}" for kind in ("zip", "dta", "parquet", "csv", "citation")}
    cities = pd.read_csv(DATA / "reference" / "cities.csv", dtype={"city_code": str})
    shown = {"truth": truth, "results": results, "downloads": downloads, "cities": cities}
    report = StudyReport.from_panel(study, panel, is_sample=True, citation="Cite " + "this " * 30, **shown)
    about = {"version": "7", "refreshed": "2024-05-01", "raw_sha256": "ab" * 32}
    build(folder, studies=[report], warehouse=warehouse, publication=about, dictionary=dictionary)
    return folder


@pytest.fixture(scope="module")
def browser(tmp_path_factory) -> Iterator[chromium.Browser]:
    with chromium.running(tmp_path_factory.mktemp("profile")) as running:
        yield running


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("page", PAGES)
def test_a_page_has_no_errors_and_fits_a_phone_in_both_languages(browser, site, page, language) -> None:
    browser.open(site / f"{page}.html", 360, f"?language={language}")
    # what lies beside the site, not in it: the notice of a refresh that failed, and when all was last verified
    beside = ("refresh_failed.html", "verified.html")
    assert [error for error in browser.errors if not any(name in error for name in beside)] == []
    assert browser.ask(WIDE) == []
    assert browser.ask("document.documentElement.scrollWidth") <= 360
    assert browser.ask(FAINT) == []
    # pictures that are loaded when they are scrolled to, loaded at once
    browser.ask("Promise.all([...document.images].map(i => (i.loading = 'eager', i.decode())))")
    images = "[...document.images].filter(i => !i.naturalWidth).map(i => i.src)"
    assert browser.ask(images) == []


@pytest.mark.parametrize("page", PAGES)
def test_a_page_shows_one_language_and_says_which(browser, site, page) -> None:
    browser.open(site / f"{page}.html", 1200, "?language=en")
    english, title = browser.ask(SHOWN), browser.ask("document.title")
    assert browser.ask("document.documentElement.lang") == "en"
    assert "Simulated, not observed" in english
    assert "模拟数据" not in english
    browser.open(site / f"{page}.html", 1200, "?language=zh")
    chinese = browser.ask(SHOWN)
    assert browser.ask("document.documentElement.lang") == "zh-Hans"
    assert "Simulated, not observed" not in chinese
    assert "模拟数据" in chinese
    assert browser.ask("document.title") != title
    labels = browser.ask("[...document.querySelectorAll('nav')].map(e => e.getAttribute('aria-label'))")
    assert labels[0] == "页面"
    # the numbers are the same in both
    assert sorted(re.findall(r"\d\.\d{4}", chinese)) == sorted(re.findall(r"\d\.\d{4}", english))


def test_the_switch_comes_after_the_menu_works_by_keyboard_and_is_remembered(browser, site) -> None:
    browser.open(site / "index.html", 1200, "?language=en")
    browser.ask("localStorage.clear()")
    browser.open(site / "index.html", 1200)
    assert browser.ask("document.documentElement.lang") == "en"
    order = []
    for _ in range(7):
        browser.press("Tab")
        order.append(browser.ask("document.activeElement.id || document.activeElement.getAttribute('href')"))
    menu = ["index.html", "trial.html", "dictionary.html", "warehouse.html", "data_docs/index.html"]
    assert order == ["#content", *menu, "language"]
    outline = "getComputedStyle(document.activeElement).outlineStyle"
    assert browser.ask(outline) == "solid"
    browser.press("Enter")
    assert browser.ask("document.documentElement.lang") == "zh-Hans"
    assert browser.ask("document.activeElement.getAttribute('aria-label')") == "Show this page in English"
    browser.open(site / "trial.html", 1200)
    assert browser.ask("document.documentElement.lang") == "zh-Hans"
    browser.ask("document.getElementById('language').click()")
    assert browser.ask("localStorage.getItem('pilotcity-language')") == "en"


def test_the_map_goes_through_the_years_and_tells_of_a_city(browser, site) -> None:
    shade = "document.querySelector('path[data-code=\"110000\"]').getAttribute('class')"
    browser.open(site / "trial.html", 1200, "?language=en")
    assert browser.ask(shade) == "pilot"
    browser.ask("document.querySelector('#map-figure input[type=range]').focus()")
    for _ in range(4):  # from 2008 to the year before its adoption
        browser.press("ArrowLeft")
    assert browser.ask("document.querySelector('#map-figure output').textContent") == "2004"
    assert browser.ask(shade) == "later"
    browser.ask("document.querySelector('#map-figure input[value=values]').click()")
    assert re.fullmatch(r"level[1-5]", browser.ask(shade))
    assert "never a pilot" not in browser.ask("document.querySelector('#map-figure figcaption').innerText")
    place = "(e => (e.scrollIntoView(), (r => [r.x + r.width / 2, r.y + r.height / 2])(e.getBoundingClientRect())))"
    x, y = browser.ask(f"{place}(document.querySelector('path[data-code=\"110000\"]'))")
    browser.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
    told = "document.querySelector('#map-figure .told').textContent"
    assert re.fullmatch(r"Beijing 北京市, pilot since 2005; 50% of y_1 2004: -?[\d.]+", browser.ask(told))
    browser.ask("document.getElementById('language').click()")
    assert re.fullmatch(r"北京市，2005年起试点；结果 2004：-?[\d.]+", browser.ask(told))
    browser.ask("document.getElementById('language').click()")


def test_no_place_is_kept_free_for_a_notice_that_is_not_there(browser, site) -> None:
    browser.open(site / "index.html", 1200)
    top = browser.ask("document.querySelector('.sample').getBoundingClientRect().top")
    assert top - browser.ask("document.querySelector('header').getBoundingClientRect().bottom") < 40


@pytest.mark.parametrize("page", PAGES)
def test_no_table_is_wider_than_a_sheet_of_paper(browser, site, page) -> None:
    browser.open(site / f"{page}.html", A4)
    browser.call("Emulation.setEmulatedMedia", media="print")
    try:
        assert browser.ask("document.documentElement.scrollWidth") <= A4
    finally:
        browser.call("Emulation.setEmulatedMedia", media="")


@pytest.mark.parametrize(
    ("language", "shown", "hidden"), [("en", "Baseline", "基准回归"), ("zh", "基准回归", "Baseline")]
)
def test_print_shows_the_chosen_language_without_menu_and_switch(browser, site, language, shown, hidden) -> None:
    browser.open(site / "trial.html", 800, f"?language={language}")
    browser.call("Emulation.setEmulatedMedia", media="print")
    try:
        text = browser.ask(SHOWN)
        assert shown in text
        assert hidden not in text
        assert browser.ask("document.getElementById('language').getClientRects().length") == 0
        assert len(browser.call("Page.printToPDF")["data"]) > 10_000
    finally:
        browser.call("Emulation.setEmulatedMedia", media="")


def test_without_scripts_a_page_is_english_and_has_no_switch(browser, site) -> None:
    browser.call("Emulation.setScriptExecutionDisabled", value=True)
    try:
        browser.open(site / "trial.html", 1200, "?language=zh")
        assert browser.ask("document.documentElement.dataset.language") == "en"
        assert "模拟数据" not in browser.ask(SHOWN)
        assert browser.ask("document.getElementById('language').hidden")
    finally:
        browser.call("Emulation.setScriptExecutionDisabled", value=False)
