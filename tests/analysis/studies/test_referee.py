"""What referees ask for: each check is found where a study has it, and its lines add it where it has not."""

import pickle
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from study_panel import CITIES, make_panel

from analysis.reporting.language import Chinese
from analysis.studies import spec
from analysis.studies.referee import CHECKS, IMPOSSIBLE, MISSING, THERE, USUAL, answers
from analysis.studies.run import run_exhibit

STUDIES = tuple(spec.catalogue())


@pytest.fixture(scope="module", params=STUDIES)
def study(request):
    return spec.load(spec.catalogue()[request.param])


def test_the_list_has_thirty_five_checks_of_different_names() -> None:
    assert len(CHECKS) == len({check.code for check in CHECKS}) == 35
    assert set(USUAL) <= {check.code for check in CHECKS}


def test_the_page_of_the_list_says_what_the_code_says() -> None:
    root = Path(__file__).parents[3]
    lines = (root / "docs" / "referee.md").read_text(encoding="utf-8").splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| `")]
    studies = ("innovative_clusters", "ai_pilot_zones", "low_carbon_cities")
    asked = zip(*(answers(spec.load(spec.catalogue()[name])) for name in studies), strict=True)
    said = [[f"`{same[0].check.code}`", same[0].check.title.en, *(answer.state for answer in same)] for same in asked]
    assert [row[:5] for row in rows] == said
    for row in rows:
        places = [word for word in row[5].split("`")[1::2] if "/" in word]
        assert places and all((root / place).exists() for place in places), row


def test_what_is_missing_is_there_once_its_lines_are_added(study, tmp_path) -> None:
    """The lines are pasted at the end of the YAML as a person would, and the study is read again."""
    shutil.copytree(study.file.parent / "published", tmp_path / "published")
    asked = answers(study)
    assert {answer.state for answer in asked} == {THERE, MISSING, IMPOSSIBLE}
    path = tmp_path / study.file.name
    lines = "".join(answer.lines for answer in asked)
    path.write_text(study.file.read_text(encoding="utf-8").rstrip("\n") + "\n" + lines, encoding="utf-8")
    again = {answer.check.code: answer.state for answer in answers(spec.load(path))}
    for answer in asked:
        assert answer.state != MISSING or again[answer.check.code] == THERE, answer.check.code
        assert bool(answer.where) == (answer.state == THERE)
        assert bool(answer.why) == (answer.state == IMPOSSIBLE)


def test_what_a_study_takes_away_is_missed(study) -> None:
    bare = replace(study, exhibits=())
    counts = Counter(answer.state for answer in answers(bare))
    assert counts[MISSING] >= 20
    there = {answer.check.code for answer in answers(bare) if answer.state == THERE}
    assert there <= {"power", "spillovers", "outcomes"}  # what the audit itself looks at


def test_every_word_is_in_both_languages(study) -> None:
    chinese = Chinese()
    for check in CHECKS:
        assert check.title.en != check.title.zh
        assert check.asks.en != check.asks.zh
    for answer in answers(replace(study, exhibits=(), controls=(), intensity="much", policies=(), weights={})):
        assert not answer.why or chinese.knows(answer.why), answer.why


@pytest.fixture(scope="module")
def everything(tmp_path_factory):
    """A study that says `exhibits: referee`."""
    path = tmp_path_factory.mktemp("referee") / "low_carbon_cities.yaml"
    text = spec.catalogue()["low_carbon_cities"].read_text(encoding="utf-8")
    path.write_text(text.partition("\nexhibits:")[0] + "\nexhibits: referee\n", encoding="utf-8")
    return spec.load(path)


def test_the_word_referee_adds_every_check_that_the_study_allows(everything) -> None:
    states = {answer.check.code: answer.state for answer in answers(everything)}
    assert MISSING not in states.values()
    assert Counter(states.values())[THERE] >= 25


def test_a_study_from_a_file_may_say_referee_too(tmp_path) -> None:
    rows = pd.DataFrame({"firm": np.repeat(np.arange(12), 6), "year": np.tile(np.arange(2001, 2007), 12)})
    rng = np.random.default_rng(0)
    rows = rows.assign(reform=((rows["firm"] < 5) & (rows["year"] >= 2004)).astype(int))
    rows = rows.assign(sales=rng.normal(size=len(rows)), size=rng.normal(size=len(rows)))
    rows.to_csv(tmp_path / "firms.csv", index=False)
    path = tmp_path / "studies" / "firms.yaml"
    path.parent.mkdir()
    path.write_text(
        "study: firms\ntitle: Firms\npanel: {file: firms.csv, unit: firm, time: year, treatment: reform}\n"
        "variables: all\noutcomes: [sales]\ncontrols: [size]\ncluster: unit\nfixed_effects: [unit, time]\n"
        "exhibits: referee\n",
        encoding="utf-8",
    )
    study = spec.load(path)
    states = {answer.check.code: answer for answer in answers(study)}
    assert MISSING not in {answer.state for answer in states.values()}
    assert states["cluster"].state == states["conley"].state == IMPOSSIBLE
    assert "no Chinese cities" in states["conley"].why
    assert states["triple"].state == IMPOSSIBLE and "role group" in states["triple"].why


def test_a_triple_difference_is_asked_of_a_panel_with_a_group_that_the_policy_is_for(tmp_path) -> None:
    rows = pd.DataFrame({"firm": np.repeat(np.arange(40), 6), "year": np.tile(np.arange(2001, 2007), 40)})
    rows = rows.assign(reform=((rows["firm"] < 20) & (rows["year"] >= 2004)).astype(int), large=rows["firm"] % 2)
    noise = np.random.default_rng(0).normal(size=len(rows)) / 10
    rows.assign(sales=rows["reform"] * (2 + rows["large"]) + noise).to_csv(tmp_path / "firms.csv", index=False)
    path = tmp_path / "studies" / "firms.yaml"
    path.parent.mkdir()
    path.write_text(
        "study: firms\ntitle: Firms\npanel: {file: firms.csv, unit: firm, time: year, treatment: reform}\n"
        "variables: [{name: sales, role: outcome}, {name: large, role: group}]\noutcomes: [sales]\n"
        "cluster: unit\nfixed_effects: [unit, time]\nexhibits: referee\n",
        encoding="utf-8",
    )
    firms = spec.load(path)
    assert next(a for a in answers(firms) if a.check.code == "triple").where == ("table_triple",)
    adoption = np.where(rows["firm"] < 20, 2004.0, np.nan)
    panel = rows.assign(sales=rows["reform"] * (2 + rows["large"]) + noise, adoption=adoption)
    estimates = run_exhibit(firms, "table_triple", panel, is_sample=False).estimates
    assert estimates["estimate"].to_numpy() == pytest.approx([1.0], abs=0.1)


@pytest.mark.torture
def test_every_exhibit_that_referees_ask_for_can_be_computed(everything) -> None:
    panel = make_panel(everything)
    for exhibit in everything.exhibits:
        result = run_exhibit(everything, exhibit.name, panel, is_sample=True, cities=CITIES)
        assert "ok" in set(result.estimates["status"]), exhibit.name


def test_the_exhibits_that_no_usual_set_has_can_be_computed(everything) -> None:
    few = replace(everything, outcomes=everything.outcomes[:1], city_codes=tuple(CITIES["city_code"].iloc[::6]))
    panel = make_panel(few)
    for name in ("table_conley", "figure_placebo_mixed"):
        result = run_exhibit(few, name, panel, is_sample=True, cities=CITIES)
        assert set(result.estimates["status"]) == {"ok"}, name


def test_a_check_survives_being_kept_between_two_steps_of_a_run() -> None:
    for check in CHECKS:
        assert pickle.loads(pickle.dumps(check)) is check
