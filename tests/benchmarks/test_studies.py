"""How long the tables and figures of both papers take, without the pipeline before them.

Processor seconds, not wall clock: other work on the machine must not decide.
"""

import pytest
from processor import spent
from study_panel import CITIES, make_panel

from analysis.studies.run import run_study
from analysis.studies.spec import catalogue, load

#: Fits of a two-way regression with four controls by pyfixest that all exhibits of both papers may take.
FITS = 6000


@pytest.mark.benchmark
def test_every_exhibit_of_both_papers_is_computed_in_the_time_of_some_thousand_regressions(measured) -> None:
    import pyfixest

    took = {}
    for name in ("innovative_clusters", "ai_pilot_zones"):
        study = load(catalogue()[name])
        panel = make_panel(study)
        took[name] = spent(lambda study=study, panel=panel: run_study(study, panel, is_sample=True, cities=CITIES), 1)
        names = {f"x{number}": panel[control] for number, control in enumerate(study.controls[:4])}
        plain = panel[["city_code", "year", study.treatment]].assign(y=panel[study.outcomes[0]], **names)
        formula = f"y ~ {' + '.join([study.treatment, *names])} | city_code + year"
        fit = spent(lambda plain=plain, formula=formula: pyfixest.feols(formula, plain, vcov={"CRV1": "city_code"}))
        measured(f"every table and figure of {name}", took[name], f"pyfixest, {FITS} fits, both", FITS * fit)
    assert sum(took.values()) < FITS * fit
