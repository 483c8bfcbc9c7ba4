"""From a page to a number to its raw cell, in both languages, as the trace tells it; and from a failing check."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from analysis.lineage.evidence import Published
from analysis.lineage.trace import Trace
from analysis.lineage.tree import Node
from analysis.reporting.site import StudyReport, WarehouseReport, build
from analysis.studies.run import run_exhibit

sys.path.insert(0, str(Path(__file__).parent))
import browser as chromium
import explored

pytestmark = [
    pytest.mark.xdist_group("browser"),
    pytest.mark.skipif(
        not chromium.found(), reason="no Chromium on the PATH: install it to test the pages in a browser"
    ),
]
#: The text of the page once a condition holds, or what is there after five seconds.
WAIT = """
(async () => {
  for (let tries = 0; tries < 100 && !document.querySelector(%r); tries += 1) {
    await new Promise(r => setTimeout(r, 50));
  }
  return document.querySelector("main").innerText;
})()
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory, study, panel) -> Path:
    folder = tmp_path_factory.mktemp("explored")
    nothing = pd.DataFrame()
    warehouse = WarehouseReport(nothing, nothing, nothing, nothing, is_sample=True)
    made = {"table_2": run_exhibit(study, "table_2", panel, is_sample=True)}
    report = StudyReport.from_panel(study, panel, is_sample=True, results=made)
    found = explored.tables()
    about = {"version": "7", "refreshed": "2024-05-01"}
    build(folder, studies=[report], warehouse=warehouse, publication=about, tables=found, checks=explored.OUTCOMES)
    return folder


@pytest.fixture(scope="module")
def browser(tmp_path_factory) -> Iterator[chromium.Browser]:
    with chromium.running(tmp_path_factory.mktemp("profile")) as running:
        yield running


def shown(browser, page: Path, address: str, wait: str, width: int = 1280) -> str:
    """The words of a page opened at an address, once what it waits for is there."""
    browser.call("Page.navigate", url="about:blank")
    browser.open(page, width, address)
    return browser.ask(WAIT % wait)


def cells(node: Node) -> list[str]:
    """Where the cells and records behind a value stand."""
    return [each.title for each in node.walk() if each.kind in ("cell", "records", "set_aside")]


@pytest.mark.parametrize(
    ("city", "column", "year"), [("110000", "x", 2007), ("330500", "x", 2008), ("330500", "y", 2010)]
)
def test_a_number_leads_to_the_cells_that_the_trace_finds(browser, site, city, column, year) -> None:
    node = Trace(Published(explored.read(explored.tables()), city)).panel("trial", column, year)
    text = shown(browser, site / "city.html", f"?language=en#{city}/trial.{column}/{year}", ".trace")
    assert browser.errors == []
    for title in [node.title, *cells(node), *(each.title for each in node.inputs)]:
        assert title in text, title
    assert "NOT REPRODUCED" not in text


def test_a_value_that_was_filled_in_says_from_which_years_and_what_was_set_aside_stands_on_the_page(browser, site):
    text = shown(browser, site / "city.html", "?language=en#330500/trial.x/2008", ".trace")
    assert "on the line between 2007 and 2009" in text
    assert "set aside: jump" in text
    assert "since 2009, whole city (public record)" in text
    marked = browser.ask("[...document.querySelectorAll('#explore td.filled')].map(e => e.innerText)")
    assert marked
    assert all(mark.endswith("°") for mark in marked)


def test_the_way_from_the_overview_to_a_raw_cell_is_walked_by_clicks_in_chinese(browser, site) -> None:
    browser.open(site / "index.html", 1280, "?language=en")
    browser.ask("document.getElementById('language').click()")
    assert browser.follow('.effects a[href*="#door/"]').endswith("trial.html#door/table_2/(2)/did")
    text = browser.ask((WAIT % "dialog[open]").replace('querySelector("main")', 'querySelector("dialog")'))
    assert "估计值" in text
    assert "聚类标准误" in text
    assert browser.follow('dialog a[href^="variable.html"]').endswith("variable.html#trial.y")
    text = browser.ask(WAIT % "#explore td a.door")
    assert "专利" in text
    assert "2009" in text
    browser.follow('#explore td a[href="city.html#330500/trial.y/2010"]')
    text = browser.ask(WAIT % ".trace")
    assert "该数字的来源" in text
    assert "patents.csv: 10条记录" in text
    browser.ask("document.getElementById('language').click()")


def test_a_number_of_a_table_tells_its_model(browser, site) -> None:
    browser.open(site / "trial.html", 1280, "?language=en")
    browser.ask("document.querySelector('section.exhibit tr.estimate td:nth-of-type(2) button').click()")
    text = browser.ask("document.querySelector('dialog').innerText")
    assert re.search(r"Estimate\s+0\.\d+\*\*\*, standard error 0\.\d+, p < 0\.001", text)
    assert "two way" in text
    assert "Printed in the paper" not in text
    browser.ask("document.querySelector('dialog button').click()")
    assert browser.ask("document.querySelector('dialog').open") is False


@pytest.mark.parametrize(("language", "words"), [("en", "where it stands"), ("zh", "所在位置")])
def test_a_failing_check_leads_to_its_row_and_names_its_cell(browser, site, language, words) -> None:
    browser.open(site / "checks.html", 1280, f"?language={language}")
    text = browser.ask("document.querySelector('main').innerText")
    assert words in text
    assert "yearbook/2006.xlsx, 综合, row 9, column B: 1e9" in text
    doors = browser.ask("[...document.querySelectorAll('td a')].map(e => e.getAttribute('href'))")
    assert "city.html#330500/trial.x/2008" in doors


def test_a_long_table_is_searched_filtered_and_sorted(browser, tmp_path, site) -> None:
    rows = "".join(f"<tr><th scope=row>name {n}</th><td>{n % 2}</td><td>{30 - n}</td></tr>" for n in range(30))
    head = "<tr><th>name</th><th>odd</th><th class=number>left</th></tr>"
    page = site / "long.html"
    page.write_text(
        f"<html data-language=en><body><table class=list><thead>{head}</thead><tbody>{rows}</tbody></table>"
        '<script src="assets/report.js"></script>',
        encoding="utf-8",
    )
    browser.open(page, 1280)
    page.unlink()
    seen = "[...document.querySelectorAll('tbody tr')].filter(r => !r.hidden).map(r => r.cells[0].innerText)"
    type_in = "(e => {{ e.value = {value!r}; e.dispatchEvent(new Event('input')); }})(document.querySelector({at!r}))"
    browser.ask(type_in.format(at="input[type=search]", value="name 2"))
    assert browser.ask(seen) == ["name 2", *(f"name {n}" for n in range(20, 30))]
    browser.ask(type_in.format(at="select", value="1"))
    assert browser.ask(seen) == [f"name {n}" for n in range(21, 30, 2)]
    browser.ask("document.querySelectorAll('button.sort')[2].click()")
    assert browser.ask(seen)[0] == "name 29"
    assert browser.ask("document.querySelector('output').textContent") == "5 of 30 rows"


def test_what_the_pages_hold_is_the_same_for_the_same_inputs(site, tmp_path) -> None:
    from analysis.reporting import explorer
    from analysis.reporting.language import Chinese

    explorer.write(tmp_path, explored.tables(), Chinese())
    for path in (tmp_path / "trace" / "cities").glob("*.js"):
        assert path.read_bytes() == (site / path.relative_to(tmp_path)).read_bytes()


def test_a_variable_that_nobody_has_measured_has_no_steps(tmp_path) -> None:
    from analysis.reporting import explorer
    from analysis.reporting.language import Chinese

    tables = explored.tables()
    tables["panels.city_year"] = tables["panels.city_year"].assign(gdp_per_head=float("nan"))
    tables["panels.data_dictionary"] = tables["panels.data_dictionary"].assign(standardise=True)
    explorer.write(tmp_path, tables, Chinese())
    assert list((tmp_path / "trace" / "cities").glob("*.js"))


def test_steps_that_cannot_be_taken_are_told_on_the_page(tmp_path, monkeypatch) -> None:
    from analysis.reporting import explorer
    from analysis.reporting.language import Chinese

    def refused(*_):
        raise ValueError("a formula that nobody can read")

    monkeypatch.setattr(explorer.Steps, "of", refused)
    explorer.write(tmp_path, explored.tables(), Chinese())
    shared = (tmp_path / "trace" / "shared.js").read_text(encoding="utf-8")
    assert '"lacks":"a formula that nobody can read"' in shared
