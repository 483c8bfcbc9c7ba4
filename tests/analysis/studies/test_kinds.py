"""A kind of exhibit is one record and a method one entry: everything else reads what they state."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import analysis
from analysis.printing.table import Line, Panel, number
from analysis.reporting import figures, tables
from analysis.studies import kinds
from analysis.studies.kinds import KINDS, Kind, Picture
from analysis.studies.kinds._reading import of_one_method
from analysis.studies.methods import METHODS
from analysis.studies.published import published
from analysis.studies.records import Known
from analysis.studies.run import run_exhibit
from analysis.studies.spec import load

NAMES = Known(
    columns={"trade_share": ("ratio", "")},
    city_columns=("city_code",),
    flags=("all",),
    cities=frozenset(),
    policies={"pilots": frozenset({"whole city"})},
)
STUDY = """\
study: trial
title: A trial
policy: pilots
treatment: did
sample: {cities: all, years: [2001, 2004]}
variables: [{name: y, from: trade_share, role: outcome}]
outcomes: [y]
controls: []
cluster: unit
fixed_effects: [unit, time]
exhibits:
  table_1: {kind: dots, columns: [{label: "(1)", outcome: y}]}
"""
#: A kind that no module holds: each effect in a line, drawn as a dot, with a file of its own.
DOTS = Kind(
    written=of_one_method("two_way"),
    layout=lambda result, study, table: (
        (("Effect",),),
        "Model",
        (Panel(None, tuple(Line(row.model, (number(row.estimate),)) for row in table.itertuples())),),
        ["Dots say nothing of their spread."],
    ),
    picture=Picture(
        lambda axis, fitted, model: axis.plot(fitted.table["estimate"], [0], "ko"),
        "Effect",
        lambda fitted: f"a dot at {fitted.table['estimate'].iloc[0]:.2f}",
    ),
    files=lambda fitted: [("dots", "csv", fitted.table.reset_index())],
)


def test_a_kind_is_read_computed_and_printed_by_its_record_alone(tmp_path, monkeypatch) -> None:
    path = tmp_path / "trial.yaml"
    path.write_text(STUDY, encoding="utf-8")
    with pytest.raises(ValueError, match="'dots' is not a kind of exhibit"):
        load(path, NAMES)
    monkeypatch.setitem(KINDS, "dots", DOTS)
    study = load(path, NAMES)
    assert study.exhibit("table_1").is_drawn
    index = pd.MultiIndex.from_product([[f"{code}0000" for code in range(11, 17)], range(2001, 2005)])
    panel = index.to_frame(index=False, name=["city_code", "year"])
    panel["adoption"] = np.where(panel["city_code"] < "140000", 2003.0, np.nan)
    panel["did"] = (panel["year"] >= panel["adoption"]).astype(int)
    panel["y"] = panel["did"] + np.random.default_rng(0).normal(size=len(panel)) / 10
    result = run_exhibit(study, "table_1", panel, is_sample=True)
    effect = result.models["(1)"].table["estimate"].iloc[0]
    written = tables.write_table(result, study, tmp_path, printed=published("trial", tmp_path / "none"))
    assert f"| (1) | {number(effect)} |" in written["md"].read_text(encoding="utf-8")
    assert pd.read_csv(tmp_path / "table_1_1_dots.csv")["estimate"].tolist() == [pytest.approx(effect)]
    assert set(figures.write_figure(result, study, tmp_path)) == {"svg", "png", "pdf"}
    assert figures.describe(result) == f"(1): a dot at {effect:.2f}."


def test_every_module_of_the_package_is_a_kind() -> None:
    modules = {path.stem for path in Path(kinds.__path__[0]).glob("*.py") if not path.stem.startswith("_")}
    assert set(KINDS) == modules
    assert {name for name, kind in KINDS.items() if kind.is_effect} == {"regression", "estimators"}


def test_what_a_method_repeats_is_a_method_with_the_same_estimand() -> None:
    repeating = {name: method for name, method in METHODS.items() if method.repeats}
    assert repeating
    for method in repeating.values():
        assert METHODS[method.repeats].estimand == method.estimand
        assert not METHODS[method.repeats].repeats


def test_lines_of_tables_of_estimators_have_words_of_their_own_and_estimate_the_effect() -> None:
    lines = [(line, METHODS[name].estimand) for name, method in METHODS.items() for line in method.estimators]
    assert len({line.word for line, _ in lines}) == len(lines)
    assert "other" not in {estimand for line, estimand in lines if line.standard}


@pytest.mark.parametrize("name", ["wild_bootstrap", "callaway_santanna", "psm_did"])
def test_a_method_is_named_in_its_entry_only(name: str) -> None:
    root = Path(analysis.__path__[0])
    naming = {
        path.relative_to(root).as_posix() for path in root.rglob("*.py") if f'"{name}"' in path.read_text("utf-8")
    }
    # what other software has of it is said where that software is spoken to
    known = ("did/", "studies/methods/", "agreement/engines.py", "reporting/scripts.py")
    assert {place for place in naming if not place.startswith(known)} == set()
