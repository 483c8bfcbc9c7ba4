"""Published scores of the slacks-based measure: Tone (2001) and Tone (2002)."""

import pandas as pd
import pytest

from analysis.efficiency import super_sbm

#: Five units of Tone (2001) and the power plants of Tone (2002), as the papers print them.
TONE_2001 = pd.DataFrame(
    [[4, 3, 2, 3], [6, 3, 2, 3], [8, 1, 6, 2], [8, 1, 6, 1], [2, 4, 1, 4]],
    index=list("ABCDE"),
    columns=["Input1", "Input2", "Output1", "Output2"],
)
TONE_2002 = pd.DataFrame(
    [
        [80, 600, 54, 8, 90, 5],
        [65, 200, 97, 1, 58, 1],
        [83, 400, 72, 4, 60, 7],
        [40, 1000, 75, 7, 80, 10],
        [52, 600, 20, 3, 72, 8],
        [94, 700, 36, 5, 96, 6],
    ],
    index=["D1", "D2", "D3", "D4", "D5", "D6"],
    columns=["X1", "X2", "X3", "X4", "Y1", "Y2"],
)
PLANTS = {"inputs": ["X1", "X2", "X3", "X4"], "outputs": ["Y1", "Y2"]}


def test_plain_sbm_gives_the_scores_of_tone_2001():
    table = super_sbm(
        TONE_2001, inputs=["Input1", "Input2"], outputs=["Output1", "Output2"], super_efficiency=False
    ).table
    assert table["score"].to_numpy() == pytest.approx([0.7979797980, 0.5681818182, 1, 0.6666666667, 1], rel=1e-9)


@pytest.mark.parametrize(
    ("returns", "orientation", "expected"),
    [
        ("crs", "none", [1.011615988, 1.414634146, 1.078125, 1.15625, 1.585846154, 1.019809764]),
        ("vrs", "none", [1.030425707, 2, 1.089285714, 1.264705882, 1.840293040, 1.095890411]),
        ("crs", "input", [1.011615988, 1.708333333, 1.078125, 1.15625, 1.798809524, 1.019809764]),
    ],
)
def test_super_sbm_without_bad_outputs_gives_the_scores_of_tone_2002(returns, orientation, expected):
    table = super_sbm(TONE_2002, **PLANTS, returns=returns, orientation=orientation).table
    assert table["score"].to_numpy() == pytest.approx(expected, rel=1e-9)
