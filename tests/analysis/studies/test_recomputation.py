"""A study computed again from its archive: what must agree, how closely, and what is said when it does not."""

import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis.studies.new import new_study
from analysis.studies.recomputation import TOLERANCE, compare, recompute
from analysis.studies.run import run_study
from analysis.studies.spec import DATA, known, load


def parquet(frame: pd.DataFrame) -> bytes:
    file = io.BytesIO()
    frame.to_parquet(file, index=False)
    return file.getvalue()


EXHIBITS = """\
exhibits:
  table_1: {kind: descriptive, title: Descriptive statistics, variables: [ln_pgdp, secondary, open]}
  table_2:
    kind: regression
    title: Baseline
    show: all
    columns:
      - {label: "(1)", outcome: ln_pgdp, drop: all controls}
      - {label: "(2)", outcome: ln_pgdp}
"""


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What the archive of a small study holds; its list of pilots exists nowhere else."""
    root: Path = tmp_path_factory.mktemp("project")
    (root / "data" / "reference").mkdir(parents=True)
    cities = (DATA / "reference" / "cities.csv").read_bytes()
    (root / "data" / "reference" / "cities.csv").write_bytes(cities)
    path, policy, *_ = new_study("carbon_market", root / "data")
    text = path.read_text(encoding="utf-8")
    path.write_text(text[: text.index("exhibits: standard")] + EXHIBITS, encoding="utf-8")
    study = load(path, known(root / "data"))
    panel = pd.MultiIndex.from_product([range(110100, 110140), range(2006, 2012)], names=["city_code", "year"])
    rng = np.random.default_rng(0)
    frame = panel.to_frame(index=False).astype({"city_code": str})
    frame["adoption"] = np.where(frame["city_code"] < "110120", 2009.0, np.nan)
    frame["treated"] = (frame["year"] >= frame["adoption"]).astype(int)
    for variable in study.variables:
        frame[variable.name] = rng.normal(size=len(frame))
    results = run_study(study, frame, is_sample=True)
    stated = pd.concat([result.estimates for result in results.values()], ignore_index=True)
    return {
        "study/carbon_market.yaml": path.read_bytes(),
        "data/policies/carbon_market.csv": policy.read_bytes(),
        "data/reference/cities.csv": cities,
        "panels/carbon_market.parquet": parquet(frame),
        "estimates.parquet": parquet(stated),
    }


def test_a_study_that_no_checkout_knows_is_computed_from_its_archive_alone(files) -> None:
    found = recompute("carbon_market", files, is_sample=True)
    assert found.holds
    assert set(found.results) == {"table_1", "table_2"}
    assert found.compared > 80
    assert found.summary() == f"All {found.compared} figures of 2 tables and figures came out again."


def test_a_variable_of_ones_own_comes_with_the_archive(files) -> None:
    own = b"own_ratio:\n  formula: trade / gdp\n  unit: ratio\n"
    study = files["study/carbon_market.yaml"].replace(b"from: trade_share", b"from: own_ratio")
    assert study != files["study/carbon_market.yaml"]
    changed = {**files, "study/carbon_market.yaml": study, "data/own/variables.yaml": own}
    assert recompute("carbon_market", changed, is_sample=True).holds
    with pytest.raises(ValueError, match="'own_ratio' is not"):
        recompute("carbon_market", {**changed, "data/own/variables.yaml": b"{}"}, is_sample=True)


def test_an_estimate_that_was_changed_is_named(files) -> None:
    stated = pd.read_parquet(io.BytesIO(files["estimates.parquet"]))
    which = stated.index[(stated["exhibit"] == "table_2") & (stated["term"] == "treated")][0]
    stated.loc[which, "estimate"] += stated.loc[which, "se"] / 100
    found = recompute("carbon_market", {**files, "estimates.parquet": parquet(stated)}, is_sample=True)
    assert not found.holds
    assert found.differences[["exhibit", "model", "term", "quantity"]].values.tolist() == [
        ["table_2", "(1)", "treated", "estimate"]
    ]
    assert "1 of" in found.summary()


def test_another_panel_gives_other_estimates(files) -> None:
    panel = pd.read_parquet(io.BytesIO(files["panels/carbon_market.parquet"]))
    panel.loc[0, "ln_pgdp"] += 1e-3
    found = recompute("carbon_market", {**files, "panels/carbon_market.parquet": parquet(panel)}, is_sample=True)
    assert set(found.differences["exhibit"]) == {"table_1", "table_2"}


def row(**changes: object) -> pd.DataFrame:
    numbers = {"estimate": 2.0, "se": 0.5, "p": 0.04, "n": 100.0, "r2": 0.3}
    return pd.DataFrame([{"exhibit": "t", "model": "m", "term": "x", "status": "ok", **numbers, **changes}])


@pytest.mark.parametrize(
    ("changes", "same"),
    [
        ({}, True),
        ({"estimate": 2.0 * (1 + 0.9 * TOLERANCE)}, True),
        ({"estimate": 2.0 * (1 + 1.1 * TOLERANCE)}, False),
        ({"se": 0.5 * (1 + 1.1 * TOLERANCE)}, False),
        ({"p": 0.04 + 0.9 * TOLERANCE}, True),
        ({"n": 101.0}, False),
        ({"r2": np.nan}, False),
        ({"status": "not computed"}, False),
        ({"term": "y"}, False),
    ],
)
def test_figures_agree_to_the_stated_tolerance(changes: dict, same: bool) -> None:
    _, differences = compare(row(), row(**changes))
    assert differences.empty is same


def test_an_estimate_near_zero_is_held_to_its_standard_error() -> None:
    assert compare(row(estimate=1e-9), row(estimate=1e-9 + 0.4 * TOLERANCE))[1].empty
    assert not compare(row(estimate=1e-9), row(estimate=1e-9 + TOLERANCE))[1].empty


def test_figures_that_both_sides_lack_agree() -> None:
    missing = dict.fromkeys(("estimate", "se", "p", "n", "r2"), np.nan)
    compared, differences = compare(row(**missing, status="not computed"), row(**missing, status="not computed"))
    assert (compared, len(differences)) == (1, 0)


@pytest.mark.parametrize("path", ["study/carbon_market.yaml", "panels/carbon_market.parquet", "estimates.parquet"])
def test_an_archive_without_a_part_that_is_needed_is_a_sentence(files, path: str) -> None:
    with pytest.raises(ValueError, match=f"lacks {path}"):
        recompute("carbon_market", {key: content for key, content in files.items() if key != path}, is_sample=True)


def test_a_panel_that_is_no_parquet_is_a_sentence(files) -> None:
    with pytest.raises(ValueError, match="is no Parquet file"):
        recompute("carbon_market", {**files, "panels/carbon_market.parquet": b"junk"}, is_sample=True)
