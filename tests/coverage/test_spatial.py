"""The stored spatial simulation study: within its bounds, complete, and the same when drawn again."""

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def study() -> Iterator[ModuleType]:
    sys.path.insert(0, str(HERE))
    import spatial

    yield spatial
    sys.path.remove(str(HERE))


def test_every_design_is_stored_with_all_its_panels(study: ModuleType) -> None:
    stored = study.read().groupby("design")["panels"].unique().map(list).to_dict()
    assert stored == {design.name: [study.PANELS] for design in study.DESIGNS}
    assert study.PANELS >= 2000


def test_sparse_matrices_keep_what_is_promised(study: ModuleType) -> None:
    table = study.read()
    assert len(table[table["rule"] == "asserted"]) >= 20
    again = study.verdicts(table.drop(columns=["rule", "holds"]))
    missed = again[again["holds"] == "no"]
    assert missed.empty, missed.to_string()
    assert (again["holds"] == table["holds"]).all()


def test_a_dense_matrix_identifies_rho_many_times_worse_than_borders(study: ModuleType) -> None:
    errors = study.read().query("quantity == 'rho'").set_index("design")["mean_se"]
    assert errors["inverse distance of 286 cities, SDM"] > 5 * errors["borders of 286 cities, SDM"]


def test_without_the_correction_the_intervals_are_too_narrow(study: ModuleType) -> None:
    table = study.read().query("quantity == 'x'").set_index("design")["coverage"]
    assert table["ring of 150, SDM, no correction"] < 0.95 - 3 * np.sqrt(0.95 * 0.05 / study.PANELS)


def test_the_first_panels_drawn_again_give_finite_tables_near_the_truth(study: ModuleType) -> None:
    for design in study.DESIGNS:
        if design.asserted:
            few = study.simulate(design, 3).set_index("quantity")
            assert (few["mean"] - few["truth"]).abs().drop(["indirect", "total"]).max() < 0.25


def test_the_page_shows_the_stored_table(study: ModuleType) -> None:
    assert (HERE / "SPATIAL.md").read_text(encoding="utf-8") == study.readme(study.read())
