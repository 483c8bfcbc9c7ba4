"""Event-study figures: fixed bytes, every format, words for those who cannot see them."""

from xml.etree import ElementTree

import matplotlib
import pytest
from matplotlib.figure import Figure

from analysis.printing.canvas import STYLE, contents
from analysis.reporting.figures import describe, draw, write_figure
from analysis.studies.run import run_exhibit

DRAWN = ["figure_1", "figure_2", "table_3_both", "table_6"]


@pytest.mark.parametrize("name", DRAWN)
def test_the_same_numbers_give_the_same_bytes_whatever_the_users_settings(name: str, results, study) -> None:
    first = draw(results[name], study)
    with matplotlib.rc_context({"font.size": 30, "axes.facecolor": "yellow", "svg.hashsalt": None}):
        second = draw(results[name], study)
    assert first == second
    assert first["png"].startswith(b"\x89PNG")
    assert b"<dc:date>" not in first["svg"]
    assert first["pdf"].startswith(b"%PDF")
    assert b"CreationDate" not in first["pdf"]


@pytest.mark.parametrize("name", DRAWN)
def test_the_svg_is_well_formed_and_draws_in_grey_only(name: str, results, study) -> None:
    text = draw(results[name], study)["svg"].decode()
    ElementTree.fromstring(text)
    hexadecimal = {c for c in (p[:6] for p in text.split("#")[1:]) if all(k in "0123456789abcdef" for k in c)}
    assert hexadecimal
    assert all(colour[0:2] == colour[2:4] == colour[4:6] for colour in hexadecimal)


def test_sample_data_changes_the_figure(results, observed, study) -> None:
    assert draw(results["figure_1"], study) != draw(observed["figure_1"], study)


def test_an_exhibit_without_a_computed_model_has_no_figure_and_says_so(study, panel, tmp_path) -> None:
    result = run_exhibit(study, "figure_1", panel.drop(columns="y"), is_sample=False)
    assert write_figure(result, study, tmp_path) == {}
    assert describe(result) == "y is not computed."


def test_the_words_name_the_range_and_the_test_of_the_leads(results) -> None:
    words = describe(results["figure_1"])
    fitted = results["figure_1"].models["y"]
    assert f"{fitted.table.loc[[0, 1, 2], 'estimate'].max():.3f}" in words
    assert "3 of 3 significant at 5%" in words
    assert f"p = {fitted.pretrend.p:.3f}" in words


def test_exactly_the_kinds_that_a_study_says_have_a_picture_are_drawn(results, study, tmp_path) -> None:
    for name, result in results.items():
        expected = {"svg", "png", "pdf"} if study.exhibit(name).is_drawn else set()
        assert set(write_figure(result, study, tmp_path)) == expected, name


def test_every_picture_is_told_in_words(results) -> None:
    placebo = results["figure_2"].models["y"]
    words = describe(results["figure_2"])
    assert f"p = {placebo.p_value:.3f}" in words
    assert words.endswith("gone is not computed.")
    assert "have weight 1.000" in describe(results["table_3"])
    assert "of 80 treated rows are matched" in describe(results["table_6"])


def test_a_picture_is_drawn_without_a_word_on_its_fonts(caplog) -> None:
    caplog.set_level("INFO")
    figure = Figure()
    figure.add_subplot().set_title("Effect, 95% interval")
    with matplotlib.rc_context(STYLE):
        assert contents(figure, "Effect")["pdf"].startswith(b"%PDF")
    assert caplog.records == []
