"""Published scores of the slacks-based measure: Tone (2001) and Tone (2002)."""

import pandas as pd
import pytest

from analysis.efficiency import super_sbm

PLANTS = {"inputs": ["X1", "X2", "X3", "X4"], "outputs": ["Y1", "Y2"]}


def test_plain_sbm_gives_the_scores_of_tone_2001(reference):
    data = pd.read_csv(reference("dea_tone/Tone2001.csv"), index_col="DMU")
    table = super_sbm(data, inputs=["Input1", "Input2"], outputs=["Output1", "Output2"], super_efficiency=False).table
    assert table["score"].to_numpy() == pytest.approx([0.7979797980, 0.5681818182, 1, 0.6666666667, 1], rel=1e-9)


@pytest.mark.parametrize(
    ("returns", "orientation", "expected"),
    [
        ("crs", "none", [1.011615988, 1.414634146, 1.078125, 1.15625, 1.585846154, 1.019809764]),
        ("vrs", "none", [1.030425707, 2, 1.089285714, 1.264705882, 1.840293040, 1.095890411]),
        ("crs", "input", [1.011615988, 1.708333333, 1.078125, 1.15625, 1.798809524, 1.019809764]),
    ],
)
def test_super_sbm_without_bad_outputs_gives_the_scores_of_tone_2002(reference, returns, orientation, expected):
    data = pd.read_csv(reference("dea_tone/Power_plants.csv"), index_col="DMU")
    table = super_sbm(data, **PLANTS, returns=returns, orientation=orientation).table
    assert table["score"].to_numpy() == pytest.approx(expected, rel=1e-9)
