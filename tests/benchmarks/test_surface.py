"""A surface of ten thousand specifications with 500 draws against the same regressions one by one, and against plain
projections in numpy, in the same run.

Processor seconds, not wall clock: other work on the machine must not decide.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from processor import spent
from study_panel import CITIES, make_panel

from analysis.did import two_way
from analysis.studies.run import run_exhibit
from analysis.studies.spec import catalogue, load

#: Regressions and plain specifications that stand for all, and times the plain ones' time that the surface may take.
FEW, LIMIT = 10, 3


def plain(panel: pd.DataFrame, outcome: str, treatment: str, controls: Sequence[str]) -> Callable[[], np.ndarray]:
    """One specification and 500 draws of its treatment in numpy, both effects out of everything beforehand."""
    frame = panel.dropna(subset=[outcome, *controls])

    def swept(values: pd.DataFrame) -> np.ndarray:
        by_unit, by_year = (values.groupby(frame[key]).transform("mean") for key in ("city_code", "year"))
        return (values - by_unit - by_year + values.mean()).to_numpy()

    pilots = frame.groupby("city_code")[treatment].transform("max").to_numpy()
    drawn = np.random.default_rng(0)
    dealt = pd.DataFrame(np.column_stack([pilots, *(drawn.permutation(pilots) for _ in range(500))]), frame.index)
    treated, y, x = swept(dealt), swept(frame[[outcome]])[:, 0], swept(frame[[*controls]])

    def estimates() -> np.ndarray:
        base = np.linalg.qr(x)[0]
        behind = base.T @ treated
        return (treated.T @ y - behind.T @ (base.T @ y)) / ((treated**2).sum(axis=0) - (behind**2).sum(axis=0))

    return estimates


@pytest.mark.benchmark
def test_ten_thousand_specifications_with_500_draws_take_a_few_times_as_long_as_plain_projections(measured) -> None:
    study = load(catalogue()["innovative_clusters"])
    panel = make_panel(study)
    (exhibit,) = [each for each in study.exhibits if each.kind == "surface"]
    many = replace(study, exhibits=(replace(exhibit, plan=replace(exhibit.plan, draws=500, estimators={})),))
    found = []
    ours = spent(lambda: found.append(run_exhibit(many, exhibit.name, panel, is_sample=True, cities=CITIES)), repeats=1)
    tables = [surface.table for surface in found[0].models.values()]
    specifications = sum(len(table) for table in tables)
    assert specifications >= 10_000
    assert np.isfinite(tables[0]["estimate"]).any()

    def one_by_one() -> None:
        for _ in range(FEW):
            two_way(panel, "gti1", study.treatment, study.controls, unit="city_code", time="year")

    projected = plain(panel, "gti1", study.treatment, study.controls)
    each = spent(one_by_one) / FEW * 501
    bare = spent(lambda: [projected() for _ in range(FEW)]) / FEW * LIMIT
    name = f"surface, {specifications:,} specifications, 500 draws"
    measured(name, ours, "regressions one by one", each * specifications)
    measured(name, ours, f"plain projections, x {LIMIT}", bare * specifications)
    assert ours < bare * specifications
