"""How long the tables and figures of both papers take, without the pipeline before them.

Processor seconds, not wall clock: other work on the machine must not decide.
"""

import time

import pytest
from study_panel import CITIES, make_panel

from analysis.studies.run import run_study
from analysis.studies.spec import catalogue, load

#: Two cores for a minute are twice this; one thread is what the sum below measures.
LIMIT = 60


@pytest.mark.benchmark
def test_every_exhibit_of_both_papers_is_computed_in_a_minute_of_one_core(measured) -> None:
    spent = {}
    for name in ("innovative_clusters", "ai_pilot_zones"):
        study = load(catalogue()[name])
        panel = make_panel(study)
        start = time.process_time()
        run_study(study, panel, is_sample=True, cities=CITIES)
        spent[name] = time.process_time() - start
        measured(f"every table and figure of {name}", spent[name], "limit, both studies", LIMIT)
    assert sum(spent.values()) < LIMIT
