"""Tables: what they show, beside what, and that each format says it safely."""

import csv as csv_module
import html
import io
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import docx
import numpy as np
import pandas as pd
import pytest
from python_calamine import CalamineWorkbook

from analysis.printing.table import BELOW, Line, Panel, Table, number
from analysis.reporting.language import Chinese, study_labels, translate
from analysis.reporting.latex import latex
from analysis.reporting.tables import (
    csv,
    exhibit_table,
    html_document,
    markdown,
    safe_csv,
    unverified,
    write_table,
)
from analysis.studies import spec
from analysis.studies.compare import compare, reproduced
from analysis.studies.records import Shown


def cells(table: Table, panel: int, label: str) -> tuple[str, ...]:
    return next(line.cells for line in table.panels[panel].lines if line.label.startswith(label))


@pytest.fixture
def baseline(results, study, printed, truth) -> Table:
    return exhibit_table(results["table_2"], study, printed=printed, truth=truth)


def test_a_regression_table_prints_stars_errors_sizes_and_effects_rows(baseline, results) -> None:
    fitted = results["table_2"].models["(1)"].table.loc["did"]
    assert cells(baseline, 0, "did")[0] == f"{fitted['estimate']:.4f}***"
    errors = baseline.panels[0].lines[1]
    assert (errors.kind, errors.cells[0]) == ("se", f"({fitted['se']:.4f})")
    assert cells(baseline, 0, "Control variables") == ("NO", "YES", "YES")
    assert cells(baseline, 0, "City fixed effects") == ("YES", "YES", "YES")
    assert cells(baseline, 0, "N") == ("160", "160", "")
    assert baseline.headers == (("(1)", "(2)", "(3)"), ("y", "y", "y"))


def test_the_published_block_keeps_its_columns_even_where_nothing_was_computed(baseline) -> None:
    assert baseline.panels[1].title == "As published"
    assert cells(baseline, 1, "did") == ("0.4000***", "", "0.5000**")
    assert cells(baseline, 1, "Constant") == ("0.2000", "", "0.3000")
    assert cells(baseline, 1, "N") == ("160†", "", "150")


def test_the_difference_is_in_published_standard_errors_and_the_truth_is_shown(baseline, results) -> None:
    estimate = results["table_2"].models["(1)"].table.loc["did", "estimate"]
    assert cells(baseline, 2, "did") == (number((estimate - 0.4) / 0.1, 2), "", "")
    assert cells(baseline, 3, "did") == ("0.5000", "", "")


def test_truth_is_never_shown_beside_observed_data(observed, study, printed, truth) -> None:
    table = exhibit_table(observed["table_2"], study, printed=printed, truth=truth)
    assert "True effect" not in "".join(panel.title or "" for panel in table.panels)


def test_what_was_not_computed_says_why_in_a_note(baseline) -> None:
    assert cells(baseline, 0, "did")[2] == "not computed [a]"
    reason = "[a] 'gone' is financial_depth of panels.city_year, and no raw source provides financial_depth."
    assert reason in baseline.notes


def test_a_table_says_how_much_of_a_policy_list_behind_it_nobody_has_verified(results, study, printed) -> None:
    unsure = replace(study, to_check=(3, 10))
    told = exhibit_table(results["table_2"], unsure, printed=printed)
    said = f"{study.treatment_label.en}: 3 of 10 entries of data/policies/{study.policy}.csv are still to be checked."
    assert said in told.notes
    assert "的10条记录中有3条尚待核对。" in "".join(translate(told, Chinese(study_labels(study))).notes)
    assert not any("to be checked" in note for note in exhibit_table(results["table_2"], study, printed=printed).notes)


@pytest.mark.parametrize(
    ("name", "exhibit", "policies"),
    [
        ("innovative_clusters", "table_5", {"innovation_driven_city", "smart_city"}),
        ("innovative_clusters", "table_4", set()),
        ("ai_pilot_zones", "table_5", {"made_in_china_2025"}),
    ],
)
def test_each_list_with_unverified_entries_is_named_where_it_is_used_and_nowhere_else(name, exhibit, policies) -> None:
    built_in = spec.load(spec.catalogue()[name])
    notes = unverified(built_in.exhibit(exhibit), built_in)
    assert {re.search(r"data/policies/(\w+)\.csv", note)[1] for note in notes} == policies


def test_an_exact_figure_that_fails_to_come_out_is_called_out(results, study, printed) -> None:
    wrong = replace(printed, table=printed.table.assign(estimate=printed.table["estimate"].replace(0.25, 0.26)))
    fine = exhibit_table(results["table_1"], study, printed=printed)
    assert not any("Not reproduced" in note for note in fine.notes)
    notes = exhibit_table(results["table_1"], study, printed=wrong).notes
    assert "Not reproduced though it must be: did, mean." in notes


@pytest.mark.parametrize(
    ("value", "figure", "expected"),
    [(0.08274, 0.0827, True), (0.08276, 0.0827, False), (4496, 4496, True), (4497, 4496, False), (np.nan, 1, False)],
)
def test_reproduced_means_equal_at_the_printed_digits(value: float, figure: float, expected: bool) -> None:
    assert reproduced(value, figure) is expected


def test_an_event_study_table_marks_its_base_and_tests_its_leads(results, study, printed) -> None:
    table = exhibit_table(results["figure_1"], study, printed=printed)
    assert cells(table, 0, "Period -1") == ("base",)
    assert cells(table, 0, "Leads jointly zero") == (number(results["figure_1"].models["y"].pretrend.p),)


@pytest.mark.parametrize(("write", "first_row"), [(markdown, "|"), (latex, "\\toprule"), (html_document, "<thead")])
def test_sample_data_is_marked_above_the_table_and_only_then(
    write, first_row, baseline, observed, study, printed
) -> None:
    above = re.sub("(?m)<title>.*</title>|^%.*$", "", write(baseline).partition(first_row)[0])
    assert "SAMPLE DATA" in above
    assert "SAMPLE DATA" not in write(exhibit_table(observed["table_2"], study, printed=printed))


def test_every_row_of_the_csv_says_whether_the_data_are_a_sample(results, observed, printed) -> None:
    for result, word in ((results["table_2"], "SAMPLE DATA"), (observed["table_2"], "observed")):
        frame = pd.read_csv(io.StringIO(csv(result, printed=printed)))
        assert set(frame["data"]) == {word}


def test_the_csv_reads_back_to_the_same_numbers(results, printed, truth) -> None:
    frame = pd.read_csv(io.StringIO(csv(results["table_2"], printed=printed, truth=truth)))
    expected = compare(results["table_2"].estimates, printed.table, truth)
    for column in ("estimate", "se", "p", "difference", "truth"):
        np.testing.assert_array_equal(frame[column], expected[column])


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t=", "\r=", " =", "\n@"])
def test_no_text_in_a_csv_can_run_as_a_formula_and_numbers_stay_numbers(start: str) -> None:
    text = safe_csv(pd.DataFrame({"a": [start + "cmd|' /C calc'!A0"], "b": [-0.5]}))
    row = next(iter(list(csv_module.reader(io.StringIO(text, newline="")))[1:]))
    assert row[0].startswith("'")
    assert float(row[1]) == -0.5


UGLY = Table(
    caption=r"100% of $x_1$ & #2 ~ {a}^b \ <c> | *d*",
    headers=(("a|b", "c&d"),),
    first_heading="",
    panels=(Panel(None, (Line("x_y", ("-0.5**†", "[1] <b>"), "estimate"), Line("", ("(0.1)", ""), "se"))),),
    notes=("50% & more",),
    is_sample=False,
)


def test_latex_escapes_what_latex_reads_and_keeps_its_columns() -> None:
    text = latex(UGLY)
    body = text[text.index("\\toprule") :]
    rows = [line for line in body.splitlines() if line.endswith("\\\\")]
    assert {len(re.findall(r"(?<!\\)&", row)) for row in rows} == {2}
    assert r"100\% of \$x\_1\$ \& \#2 \textasciitilde{} \{a\}\textasciicircum{}b \textbackslash{} $<$c$>$" in text
    assert "$-$0.5$^{**\\dagger}$" in text
    unescaped = re.sub(r"\\[{}\\]", "", text)
    assert unescaped.count("{") == unescaped.count("}")
    assert not re.search(r"(?m)^\s*\[|\\\\\s*\[", text)


def test_markdown_keeps_its_columns_and_escapes_markup() -> None:
    rows = [line for line in markdown(UGLY).splitlines() if line.startswith("|")]
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} == {4}
    assert "-0.5\\*\\*†" in rows[2]
    assert "&lt;b>" in rows[2]


class Tags(HTMLParser):
    """Collects tags and checks that they close in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict]] = []

    def handle_starttag(self, tag: str, attributes: list) -> None:
        self.seen.append((tag, dict(attributes)))
        if tag not in ("meta", "img", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_html_has_a_caption_scoped_headers_and_escaped_text() -> None:
    text = html_document(UGLY)
    tags = Tags()
    tags.feed(text)
    assert tags.open == []
    assert [attributes for tag, attributes in tags.seen if tag == "th" and "scope" not in attributes] == []
    assert "<caption>100%" in text
    assert "&lt;c&gt;" in text
    assert "<b>" not in text


def test_the_files_are_written_the_same_twice(results, study, printed, truth, tmp_path) -> None:
    first = write_table(results["table_2"], study, tmp_path / "a", printed=printed, truth=truth)
    second = write_table(results["table_2"], study, tmp_path / "b", printed=printed, truth=truth)
    both = ("tex", "html", "docx", "xlsx")
    scripts = ("R script", "Stata do-file")
    assert set(first) == {"csv", "md", *both, *(f"{name} Chinese" for name in both), *scripts}
    assert all(first[suffix].read_bytes() == second[suffix].read_bytes() for suffix in first)


def test_every_format_has_the_same_notes_and_says_who_else_gets_the_numbers(results, study, printed, tmp_path) -> None:
    rows = [("table_2", "(1)", "did", "confirmed", "another", "1.0", 0.5, 0.1, 1e-9, "")]
    columns = ["exhibit", "model", "term", "verdict", "engine", "version", "estimate", "se", "difference", "reason"]
    agreement = pd.DataFrame(rows, columns=columns)
    table = exhibit_table(results["table_2"], study, printed=printed, agreement=agreement)
    said = "All 1 numbers confirmed by another 1.0 to 1e-09."
    assert said in table.notes
    paths = write_table(results["table_2"], study, tmp_path, printed=printed, agreement=agreement)
    chinese = translate(table, Chinese(study_labels(study)))
    for key in ("md", "tex", "html", "docx", "xlsx"):
        for own, path in ((table, paths[key]), (chinese, paths.get(f"{key} Chinese"))):
            if path is not None:
                content = _text(path)
                assert all(_plain(note) in content for note in own.notes), (key, own.notes)


def _text(path: Path) -> str:
    """The letters and digits of a file, of whatever kind."""
    if path.suffix == ".docx":
        text = " ".join(paragraph.text for paragraph in docx.Document(str(path)).paragraphs)
    elif path.suffix == ".xlsx":
        text = " ".join(
            str(cell) for row in CalamineWorkbook.from_path(path).get_sheet_by_index(0).to_python() for cell in row
        )
    else:
        text = html.unescape(path.read_text(encoding="utf-8"))
    # a command of LaTeX stands for a sign that is neither
    return _plain(re.sub(r"\\[a-z]+", "", text) if path.suffix == ".tex" else text)


def _plain(text: str) -> str:
    return "".join(character for character in text if character.isalnum())


def test_a_truth_table_with_a_repeated_key_is_an_error(results, printed, truth) -> None:
    with pytest.raises(ValueError, match="one row for each"):
        compare(results["table_2"].estimates, printed.table, pd.concat([truth, truth]))


def test_a_table_for_a_word_processor_has_its_rules_without_variables_that_it_would_not_know() -> None:
    text = html_document(UGLY)
    assert "var(" not in text
    assert "border-top: 2px solid #1c1c1c" in text


def chosen(results, study, printed, known=None, **choices) -> Table:
    return exhibit_table(results["table_2"], study, printed=printed, truth=known, shown=Shown(**choices))


def test_rows_are_shown_in_the_order_asked_for_with_their_errors(results, study, printed) -> None:
    table = chosen(results, study, printed, rows=("N", "did"))
    assert [(line.label, line.kind) for line in table.panels[0].lines] == [
        ("N", "fact"),
        *((label, kind) for label, kind in (("did", "estimate"), ("", "se"))),
    ]
    with pytest.raises(ValueError, match=r"table_2 has no row 'absent'; it has did; Constant"):
        chosen(results, study, printed, rows=("did", "absent"))


@pytest.mark.parametrize("errors", BELOW)
def test_what_stands_below_an_estimate_is_chosen_and_said(results, study, printed, errors) -> None:
    table = chosen(results, study, printed, errors=errors, decimals=2)
    row = results["table_2"].models["(1)"].table.loc["did"]
    below = {
        "se": f"({row['se']:.2f})",
        "t": f"({row['t']:.2f})",
        "p": f"[{row['p']:.3f}]",
        "interval": f"[{row['low']:.2f}, {row['high']:.2f}]",
    }
    lines = table.panels[0].lines
    assert lines[0].cells[0] == f"{row['estimate']:.2f}***"
    if errors in below:
        assert (lines[1].kind, lines[1].cells[0]) == ("se", below[errors])
    else:
        assert lines[1].kind != "se"
    said = next(note for note in table.notes if "*** p < 0.01" in note)
    words = {"se": "Standard errors", "t": "t statistics", "p": "p values", "interval": "95%", "none": "Stars"}
    assert said.startswith(words.get(errors, "p values of the wild cluster bootstrap"))
    assert Chinese(study_labels(study)).knows(said)


def test_printed_and_true_figures_and_notes_can_be_left_out(results, study, printed, truth) -> None:
    table = chosen(results, study, printed, truth, published=False, truth=False, notes=False)
    assert [panel.title for panel in table.panels] == [None]
    assert len(table.notes) == 1 and table.notes[0].startswith("SAMPLE DATA")
