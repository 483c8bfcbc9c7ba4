"""The site: offline, linked, marked, escaped, and the same bytes for the same inputs."""

import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest

from analysis.comparison import shaped
from analysis.reporting.changes_page import ChangesReport
from analysis.reporting.listing import listing
from analysis.reporting.site import REJECTS_SHOWN, PendingReport, StudyReport, WarehouseReport, build, coverage
from dagster_project.store import canonical

PUBLICATION = {"version": "7", "refreshed": "2024-05-01", "inputs_sha256": "ab" * 32}


def warehouse(is_sample: bool, rejects: pd.DataFrame | None = None) -> WarehouseReport:
    if rejects is None:
        rejects = pd.DataFrame(
            {
                "rule": ["unknown_city"] * (REJECTS_SHOWN + 3) + ["unknown_unit"],
                "file": "地级市.xlsx",
                "message": [f"<script>alert(1)</script> message {row}" for row in range(REJECTS_SHOWN + 4)],
            }
        )
    return WarehouseReport(
        layers=pd.DataFrame({"layer": ["raw"], "table": ["raw.yearbook"], "rows": [1234567]}),
        checks=pd.DataFrame({"check": ["keys are unique"], "passed": [True], "failed_rows": [0]}),
        rejects=rejects,
        files=pd.DataFrame({"file": ["=a.xlsx"], "sha256": ["cd" * 32]}),
        is_sample=is_sample,
        planted=pd.DataFrame({"rule": ["jump"], "planted": [4], "caught": [3], "false_alarms": [2]})
        if is_sample
        else pd.DataFrame(),
    )


def changes(study) -> ChangesReport:
    """A corrected cell that moved an estimate, after one earlier publication; another one is lost."""
    cause = "the corrected GDP of Huzhou in 2016 (a.xlsx)"
    about = {"study": study.name, "item": "table_4", "model": "(1)", "term": "did", "old": 0.481, "new": 0.466}
    parts = [
        {"change": "cause", "contribution": -0.015, "message": cause, "message_zh": "a.xlsx中湖州市2016年GDP的更正"},
        {"change": "city", "contribution": -0.009, "message": "Huzhou", "message_zh": "湖州市"},
        {"change": "city", "contribution": -0.006, "message": "Jiaxing", "message_zh": "嘉兴市"},
    ]
    rows = [
        {"part": "file", "change": "changed", "file": "a.xlsx", "old": 4, "new": 4},
        {"part": "count", "item": "value", "new": 2},
        {"part": "estimate", "change": "moved", "contribution": -0.6, "headline": True, **about},
        *({"part": "reason", "old_text": "a.xlsx", "of": "a.xlsx", **about, **part} for part in parts),
    ]
    table = shaped(pd.DataFrame(rows)).assign(publication="7", before="6")
    counts = {"files": 1, "rejects": 3, "warnings": 0, "failing": 0}
    effects = [[[study.name, "table_4", "(1)", "did", estimate, 0.1]] for estimate in (0.481, 0.466)]
    trends = [{"version": v, **counts, "headlines": held} for v, held in zip("67", effects, strict=True)]
    return ChangesReport(
        table, trends, ["The summary 000005-5.json.gz of an earlier publication is damaged and is left out."]
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory, study, panel, results, truth) -> Path:
    folder = tmp_path_factory.mktemp("built") / "site"
    report = StudyReport.from_panel(study, panel, is_sample=True, truth=truth, results=results)
    build(folder, studies=[report], warehouse=warehouse(True), publication=PUBLICATION, changes=changes(study))
    return folder


class Page(HTMLParser):
    """Links, sources, ids, headings and images of a page; fails when tags do not close in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.links: list[str] = []
        self.sources: list[str] = []
        self.ids: list[str] = []
        self.tags: list[tuple[str, dict]] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attributes: list) -> None:
        values = dict(attributes)
        self.tags.append((tag, values))
        self.links += [values["href"]] if "href" in values else []
        self.sources += [values["src"]] if "src" in values else []
        self.ids += [values["id"]] if "id" in values else []
        if tag not in ("meta", "img", "br", "link"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def pages(site: Path) -> dict[str, Page]:
    return {path.name: Page(path.read_text(encoding="utf-8")) for path in site.glob("*.html")}


def test_there_is_a_page_for_each_study_and_the_warehouse(site: Path) -> None:
    assert set(pages(site)) == {"index.html", "trial.html", "changes.html", "warehouse.html"}


def test_every_link_leads_to_a_file_of_the_site_or_to_what_lies_beside_it(site: Path) -> None:
    found = pages(site)
    for name, page in found.items():
        assert len(page.ids) == len(set(page.ids)), name
        for link in [*page.links, *page.sources]:
            target, _, anchor = link.partition("#")
            if target in ("data_docs/index.html", "../published/pilotcity.duckdb"):
                continue
            assert (site / (target or name)).is_file(), link
            # what is behind a number is told by its exhibit
            place = anchor.split("/")[1] if anchor.startswith("door/") else anchor
            assert not place or place in found[target or name].ids, link


def test_nothing_comes_from_a_network_and_only_our_own_script_runs(site: Path) -> None:
    for path in site.rglob("*.html"):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"(?i)(src|href)=\"(https?:)?//|@import|url\((?!#)", text), path.name
        assert not re.search(r'(?i)<script (?!src="(assets|trace)/\w+\.js")|<link|\son\w+=', text), path.name
        assert not re.search(r"fetch\(|XMLHttpRequest|import\(|WebSocket|https?://", "".join(scripts(text))), path.name


def scripts(text: str) -> list[str]:
    return re.findall(r"(?s)<script>(.*?)</script>", text)


def test_sample_data_is_marked_on_every_page_and_in_every_table_file(site: Path) -> None:
    for path in [*site.rglob("*.html"), *site.rglob("*.md"), *site.rglob("*.tex"), *site.rglob("*.csv")]:
        assert "SAMPLE DATA" in path.read_text(encoding="utf-8"), path


def test_observed_data_is_not_called_a_sample(folder: Path, study, panel, observed) -> None:
    report = StudyReport.from_panel(study, panel, is_sample=False, results=observed)
    build(folder, studies=[report], warehouse=warehouse(False), publication=PUBLICATION)
    for path in folder.rglob("*.*"):
        if path.suffix in (".html", ".md", ".tex", ".csv"):
            assert "SAMPLE" not in path.read_text(encoding="utf-8"), path


def test_text_from_data_is_shown_and_never_read_as_markup(site: Path) -> None:
    text = (site / "warehouse.html").read_text(encoding="utf-8")
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert "A trial of &lt;pilots&gt; &amp; co" in (site / "trial.html").read_text(encoding="utf-8")


def test_files_to_take_away_cannot_run_formulas(site: Path) -> None:
    assert "'=a.xlsx" in (site / "files" / "warehouse" / "files.csv").read_text(encoding="utf-8")


def test_pages_state_language_version_and_date_and_can_be_walked_by_keyboard(site: Path) -> None:
    for name, page in pages(site).items():
        text = (site / name).read_text(encoding="utf-8")
        assert "Publication 7. Data last refreshed 2024-05-01." in text
        assert "发布版本7。数据更新于2024-05-01。" in text
        assert ("html", {"lang": "en", "data-language": "en"}) in page.tags
        assert page.links[0] == "#content"
        assert all("tabindex" in values for tag, values in page.tags if values.get("class") == "scroll")
        assert all(values.get("alt") for tag, values in page.tags if tag == "img")
    assert 'lang="zh-Hans">试验' in (site / "trial.html").read_text(encoding="utf-8")


def test_rejects_are_counted_by_rule_and_a_few_of_each_are_shown(site: Path) -> None:
    text = (site / "warehouse.html").read_text(encoding="utf-8")
    assert re.search(rf"unknown_city</th><td class=\"number\">{REJECTS_SHOWN + 3}</td>", text)
    assert f"message {REJECTS_SHOWN - 1}" in text
    assert f"message {REJECTS_SHOWN}<" not in text
    everything = (site / "files" / "warehouse" / "rejects.csv").read_text(encoding="utf-8")
    assert f"message {REJECTS_SHOWN}" in everything


def test_planted_faults_stand_on_the_page_of_sample_data_alone(site: Path, tmp_path: Path) -> None:
    page = (site / "warehouse.html").read_text(encoding="utf-8")
    row = page[page.index('id="planted"') :]
    assert [text in row for text in ("jump", ">4<", ">3<", ">2<")] == [True] * 4
    assert "3" in (site / "files" / "warehouse" / "planted_faults.csv").read_text(encoding="utf-8")
    assert (site / "files" / "warehouse" / "layers.csv").is_file()
    build(tmp_path, studies=[], warehouse=warehouse(False), publication=PUBLICATION)
    assert 'id="planted"' not in (tmp_path / "warehouse.html").read_text(encoding="utf-8")
    assert not (tmp_path / "files" / "warehouse" / "planted_faults.csv").exists()


def test_what_could_not_be_computed_is_listed_with_its_reason(site: Path) -> None:
    for name in ("warehouse.html", "trial.html"):
        text = (site / name).read_text(encoding="utf-8")
        assert "&#39;gone&#39; is financial_depth of panels.city_year" in text


def test_a_run_without_studies_or_rejects_still_has_its_pages(folder: Path) -> None:
    empty = pd.DataFrame()
    report = WarehouseReport(layers=empty, checks=empty, rejects=empty, files=empty, is_sample=False)
    build(folder, studies=[], warehouse=report, publication={})
    assert "Nothing was set aside." in (folder / "warehouse.html").read_text(encoding="utf-8")
    assert "date not recorded" in (folder / "index.html").read_text(encoding="utf-8")


def test_rejects_without_a_rule_are_an_error(folder: Path) -> None:
    with pytest.raises(ValueError, match="column 'rule'"):
        build(folder, studies=[], warehouse=warehouse(False, pd.DataFrame({"file": ["a"]})), publication={})


def test_the_same_inputs_give_the_same_bytes(site: Path, tmp_path: Path, study, panel, results, truth) -> None:
    again = tmp_path / "again"
    report = StudyReport.from_panel(study, panel, is_sample=True, truth=truth, results=results)
    build(again, studies=[report], warehouse=warehouse(True), publication=PUBLICATION, changes=changes(study))
    first = {path.relative_to(site): path.read_bytes() for path in site.rglob("*") if path.is_file()}
    second = {path.relative_to(again): path.read_bytes() for path in again.rglob("*") if path.is_file()}
    assert first == second


def test_pictures_that_are_drawn_already_are_taken_as_they_are(
    site: Path, folder: Path, study, panel, results, tmp_path
):
    drawn = tmp_path / "drawn_already"
    drawn.mkdir()
    for suffix in ("svg", "png", "pdf"):
        (drawn / f"figure_1.{suffix}").write_text(f"<svg>drawn {suffix}</svg>")
    report = StudyReport.from_panel(study, panel, is_sample=True, results=results, drawn=drawn)
    again = tmp_path / "again"
    build(again, studies=[report], warehouse=warehouse(True), publication=PUBLICATION, changes=changes(study))
    files = again / "files" / "trial"
    assert (files / "figure_1.svg").read_text() == "<svg>drawn svg</svg>"
    assert (files / "figure_2.svg").read_bytes() == (site / "files" / "trial" / "figure_2.svg").read_bytes()
    assert not (files / "table_2.svg").exists()


def test_coverage_counts_measured_imputed_and_missing_values(study, panel) -> None:
    table = coverage(study, panel).set_index("name")
    assert table.loc["x", ["values", "imputed", "missing"]].tolist() == [160, 20, 0]
    assert table.loc["gone", ["values", "imputed", "missing"]].tolist() == [0, 0, 160]


def test_a_listing_shows_numbers_with_separators_and_years_without() -> None:
    frame = pd.DataFrame({"year": [2006], "rows": [1234567], "share": [0.25], "ok": [True], "none": [None]})
    assert listing(frame, "").rows == (("2006", "1,234,567", "0.2500", "yes", ""),)


def test_what_changed_stands_on_a_page_of_its_own_and_in_a_line_on_the_first(site):
    page = (site / "changes.html").read_text(encoding="utf-8")
    assert "0.4810 → 0.4660: \u22120.0150 from the corrected GDP of Huzhou in 2016 (a.xlsx)." in page
    assert "0.4810 → 0.4660：a.xlsx中湖州市2016年GDP的更正\u22120.0150。" in page
    assert "嘉兴市" in page
    assert "SAMPLE DATA" in page
    assert "000005-5.json.gz" in page
    assert page.count("<polyline") == 4
    line = "1 file changed; 2 values of panels; 1 estimate moved, 1 of them by more than half a standard error."
    first = (site / "index.html").read_text(encoding="utf-8")
    assert line in first
    assert line in page
    assert "1个文件有变化" in first
    assert "SAMPLE DATA" in (site / "files" / "changes" / "changes.csv").read_text(encoding="utf-8")


def test_a_site_without_a_comparison_has_no_page_of_it(tmp_path):
    build(tmp_path, studies=[], warehouse=warehouse(False), publication=PUBLICATION)
    assert not (tmp_path / "changes.html").exists()
    assert "changes.html" not in (tmp_path / "index.html").read_text(encoding="utf-8")


def test_a_site_from_kept_pieces_is_the_site_and_only_what_is_touched_is_made_again(
    tmp_path: Path, study, panel, results, truth
) -> None:
    report = StudyReport.from_panel(study, panel, is_sample=True, truth=truth, results=results)
    made: list[str] = []
    put_together: list[str] = []

    def keep(name, inputs, make) -> Path:
        said = json.dumps([name, canonical(inputs)], sort_keys=True)
        folder = tmp_path / "kept" / hashlib.sha256(said.encode()).hexdigest()
        if not folder.exists():
            folder.mkdir(parents=True)
            make(folder)
            made.append(name)
        return folder

    def whole() -> StudyReport:
        put_together.append("once")
        return report

    def site(version: str, touched: str = "", keep=keep) -> dict[Path, bytes]:
        folder = tmp_path / f"{version}{touched}{keep is None}"
        decided = {name: name == touched for name in results}
        pending = PendingReport(study, True, decided, {}, whole)
        about = {"version": version, "refreshed": "2024-05-01"}
        build(
            folder, studies=[pending], warehouse=warehouse(True), publication=about, changes=changes(study), keep=keep
        )
        return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    site("7")
    made.clear()
    put_together.clear()
    again = site("8")
    assert (made, put_together) == ([], [])
    assert again == site("8", keep=None)
    assert all(
        b"Publication 8." in text for path, text in again.items() if path.parent == Path() and path.suffix == ".html"
    )
    made.clear()
    assert site("8", "table_2") == again
    assert made == ["trial/exhibits/table_2", "trial/all_estimates", "trial/page"]
