"""The atlas of ugly panels: no estimator of ours is wrong in silence, and its judge can tell.

The whole atlas is `make atlas`; here a seeded slice of it, with other panels than the stored page has.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

HERE = Path(__file__).parent
#: Estimators that take long, or much importing, for what they add to a slice.
SLOW = {"leave_out", "double_machine_learning", "extended_two_way", "poisson", "local_projections", "match"}


@pytest.fixture(scope="module", autouse=True)
def scripts() -> Iterator[None]:
    sys.path.insert(0, str(HERE))
    yield
    sys.path.remove(str(HERE))


def test_no_cell_of_ours_in_a_slice_is_wrong_in_silence() -> None:
    from atlas import verdict
    from engines import own
    from worlds import UGLINESSES

    generator = np.random.default_rng(16)
    cells = [cell for cell in own() if cell.estimator not in SLOW]
    judged, wrong = 0, []
    for ugliness in UGLINESSES:
        for at in generator.choice(len(cells), 2, replace=False):
            word, said = verdict(cells[at], ugliness, seed=3)
            judged += word in ("right", "refused")
            if word == "refused":
                assert said.startswith(("CannotEstimate: ", "ValueError: ", "no number")), said
            if word in ("wrong", "told", "slow"):
                wrong.append((cells[at].estimator, ugliness.name, word, said))
    assert not wrong
    assert judged > 45


@pytest.mark.parametrize(
    ("estimator", "name", "word"),
    [
        ("stacked", "gaps", "right"),
        ("double_machine_learning", "gaps", "right"),
        ("switching", "non-consecutive years", "refused"),
    ],
)
def test_cells_that_were_wrong_once_are_not_again(estimator: str, name: str, word: str) -> None:
    from atlas import verdict
    from engines import own
    from worlds import UGLINESSES

    cell = next(cell for cell in own() if cell.estimator == estimator)
    assert verdict(cell, next(ugliness for ugliness in UGLINESSES if ugliness.name == name))[0] == word


def test_what_a_tidy_panel_has_is_found_by_all_of_ours() -> None:
    from atlas import verdict
    from engines import own
    from worlds import UGLINESSES

    found = {cell.estimator: verdict(cell, UGLINESSES[0], seed=4) for cell in own() if cell.estimator not in SLOW}
    assert set(found.values()) == {("right", "")}, found


def test_the_judge_knows_the_truth_and_nothing_else() -> None:
    from atlas import judge
    from worlds import UGLINESSES

    one, path = UGLINESSES[0].world("static"), UGLINESSES[0].world("dynamic")
    assert judge(1.05, one) is True
    assert judge(1.2, one) is False
    assert judge(np.nan, one) is judge(None, one) is None
    assert judge({-2: 0.0, 0: 1.0, 3: 2.5, 4: 2.5}, path) is True
    assert judge({-2: 0.2, 0: 1.0}, path) is False
    assert judge({0: 1.0, 1: 1.0}, path) is False
    assert judge({-2: 0.0}, path) is None


def test_the_stored_page_names_every_ugliness_and_no_cell_of_ours_is_wrong() -> None:
    from engines import OWN, own
    from worlds import UGLINESSES

    text = (HERE.parents[1] / "docs" / "atlas.md").read_text(encoding="utf-8")
    part = text.split(f"## {OWN}\n")[1].split("\n## ")[0]
    assert all(f"| {ugliness.name} |" in part for ugliness in UGLINESSES)
    assert all(f" {cell.estimator}" in part for cell in own())
    assert not set("✗!…") & set(part)
