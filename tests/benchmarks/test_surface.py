"""A surface of ten thousand specifications with 500 draws against the same regressions one by one, in the same run.

Processor seconds, not wall clock: other work on the machine must not decide.
"""

import time
from dataclasses import replace

import numpy as np
import pytest
from study_panel import CITIES, make_panel

from analysis.did import two_way
from analysis.studies.run import run_exhibit
from analysis.studies.spec import catalogue, load

#: Regressions one by one that stand for all, and the seconds that two cores have in a minute.
ONE_BY_ONE, LIMIT = 10, 120


@pytest.mark.benchmark
def test_ten_thousand_specifications_with_500_draws_take_a_minute_of_two_cores(measured) -> None:
    study = load(catalogue()["innovative_clusters"])
    panel = make_panel(study)
    (exhibit,) = [each for each in study.exhibits if each.kind == "surface"]
    plan = replace(exhibit.plan, draws=500, estimators={})
    many = replace(study, exhibits=(replace(exhibit, plan=plan),))
    start = time.process_time()
    result = run_exhibit(many, exhibit.name, panel, is_sample=True, cities=CITIES)
    spent = time.process_time() - start
    tables = [surface.table for surface in result.models.values()]
    specifications = sum(len(table) for table in tables)
    assert specifications >= 10_000
    start = time.process_time()
    for _ in range(ONE_BY_ONE):
        two_way(panel, "gti1", study.treatment, study.controls, unit="city_code", time="year")
    each = (time.process_time() - start) / ONE_BY_ONE
    measured(
        f"surface, {specifications:,} specifications, 500 draws",
        spent,
        "regressions one by one",
        each * 501 * specifications,
    )
    assert spent * 10_000 / specifications < LIMIT
    assert np.isfinite(tables[0]["estimate"]).any()
