"""The oddities that careful readers of the two papers wrote down, and the rule that finds each by itself.

The printed figures and the papers' words are the committed ones. The panel is noise on the real cities, years and pilot
lists, so that only what follows from lists, timing and printed figures is asked for here; what needs the columns of
panels.city_year is asked of the sample publication in tests/pipeline.
"""

from pathlib import Path

import pandas as pd
import pytest
from study_panel import CITIES, DATA, make_panel

import analysis.audit as package
from analysis.audit import Audit, Inputs, audit
from analysis.studies.published import published
from analysis.studies.spec import catalogue, load

#: Study, what a reader notes, rule, exhibit, and words of model, variable or evidence.
ODDITIES = [
    ("ai_pilot_zones", "table 8: an interaction equal to the baseline", "repeated-estimate", "table_8", "0.8335"),
    ("ai_pilot_zones", "every pilot city is large", "interaction-is-treatment", "table_8", "ai_x_scale"),
    ("ai_pilot_zones", "text gives 0.1076, table 0.0029", "claim-and-table", "table_7", "prints 0.0029"),
    ("ai_pilot_zones", "text speaks of three matrices at 1%", "claim-and-table", "table_11", "3 columns"),
    ("ai_pilot_zones", "printed at 5%, text says 1%", "claim-and-table", "table_11", "not below 0.01"),
    ("ai_pilot_zones", "3,718 rows are 13 years", "sample-years", "table_5", "286 x 13"),
    ("ai_pilot_zones", "Bacon mean 0.037, baseline 0.0638", "decomposition-mean", "table_6", "0.0371"),
    ("ai_pilot_zones", "fe is not winsorised", "not-winsorized", "table_2", "21.9733"),
    ("ai_pilot_zones", "I and p no contiguity has", "autocorrelation-precision", "table_9", "neighbours a city"),
    ("ai_pilot_zones", "rho too loose for contiguity", "autocorrelation-precision", "table_10", "0.1174"),
    ("ai_pilot_zones", "text's range leaves contiguity out", "claim-and-table", "table_9", "9 values of contiguity"),
    ("ai_pilot_zones", "interactions without main effect", "interaction-alone", "table_8", "without the treatment"),
    ("ai_pilot_zones", "0.0547 in capitals is below 0.0638", "claim-and-table", "table_8", "below the 0.0638"),
    ("ai_pilot_zones", "lso has one star, text says 1%", "claim-and-table", "table_7", "1 stars printed"),
    ("ai_pilot_zones", "anticipation without its leads", "anticipation-not-shown", "table_4", "ai_lead_1"),
    ("ai_pilot_zones", "base period 0", "event-window", "figure_3", "in force"),
    ("ai_pilot_zones", "lags reach 4, window 5", "event-window", "figure_3", "after period 4"),
    ("ai_pilot_zones", "F of 2,966 beside LM of 20.8", "instrument-strength", "table_5", "2,966.2"),
    ("ai_pilot_zones", "18 treated clusters", "few-treated-clusters", "", "18 of 286"),
    ("ai_pilot_zones", "Deqing is a county of Huzhou", "partly-treated-city", "", "Huzhou"),
    ("ai_pilot_zones", "three treated cities are no capitals", "undersized-group", "table_8", "3 treated cities"),
    ("innovative_clusters", "table 7's R2 is of another kind", "group-fit", "table_7", "between groups"),
    ("innovative_clusters", "table 7's errors are of another kind", "group-standard-errors", "table_7", "0.0482"),
    ("innovative_clusters", "table 12 gti1: t = 20.6", "standard-error-out-of-line", "table_12", "t = 20.6"),
    ("innovative_clusters", "table 6 keeps 1,297 rows", "sample-cut", "table_6", "1,297"),
    ("innovative_clusters", "the constant moves to 7.30", "constant-moved", "table_6", "7.2969"),
    ("innovative_clusters", "techhum falls to 2,480 rows", "rows-lost", "table_10", "2,480"),
    ("innovative_clusters", "fin cannot be a share", "share-above-one", "table_3", "2.3248"),
    ("innovative_clusters", "industry above one", "share-above-one", "table_3", "2.8487"),
    ("innovative_clusters", "techhum's largest value", "odd-extreme", "table_3", "89.6793"),
    ("innovative_clusters", "fintech is a share", "percentage-or-share", "table_3", "fintech"),
    ("innovative_clusters", "table 11: degrees of freedom", "same-estimate-other-error", "table_11", "1.033"),
    ("innovative_clusters", "groups add to 4,457", "group-sizes", "table_7", "4,457"),
    ("innovative_clusters", "1,855 rows of key cities", "group-sizes", "table_8", "1,855"),
    ("innovative_clusters", "table 4 loses 38 rows", "rows-lost", "", "4,458 of 4,496"),
    ("innovative_clusters", "table 5 (6) at 5%, text 1%", "claim-and-table", "table_5", "(6) has t = 2.54"),
    ("innovative_clusters", "table 5 (6) is a misprint", "omitted-variable", "table_5", "0.5235"),
    ("innovative_clusters", "0.0462 (0.0083) twice", "repeated-estimate", "table_8", "table 7 (2) const"),
    ("innovative_clusters", "fintech at 5%, text 1%", "claim-and-table", "table_10", "(3) has t = 2.39"),
    ("innovative_clusters", "table 6 (3) mirrors nothing", "claim-and-table", "table_6", "0.1397 is 2.6"),
    ("innovative_clusters", "six treated cities in the west", "undersized-group", "table_7", "6 treated cities"),
]

#: Rules that read panels.city_year, and the one that reads what other engines were asked.
NOT_AT_HAND = {"other-definition", "unit-not-stated", "mixed-units", "engines-part"}


@pytest.fixture(scope="module", params=["ai_pilot_zones", "innovative_clusters"])
def found(request) -> Audit:
    study = load(catalogue()[request.param])
    # every pilot city is large, as a list of large cities would have it
    panel = make_panel(study)
    if "urban_population" in panel:
        panel["urban_population"] = 100.0 + 400.0 * panel["adoption"].notna()
    pilots = {name: _list(name) for name in (study.policy, *(policy.policy for policy in study.policies))}
    return audit(Inputs(study, published(study.name), panel, cities=CITIES, pilots=pilots, is_sample=True))


def _list(name: str) -> pd.DataFrame:
    return pd.read_csv(DATA / "policies" / f"{name}.csv", dtype={"city_code": str})


def test_the_audit_finds_what_readers_found(found: Audit) -> None:
    missed = [
        f"{what}: {code}"
        for study, what, code, exhibit, words in ODDITIES
        if study == found.study
        and not any(
            finding.code == code
            and finding.exhibit == exhibit
            and words in f"{finding.model} {finding.variable} {finding.evidence}"
            for finding in found.findings
        )
    ]
    assert missed == []


def test_what_is_said_of_the_printed_figures_needs_no_data(found: Audit) -> None:
    from_paper = {finding.code for finding in found.findings if not finding.sample_data}
    assert {"claim-and-table", "repeated-estimate"} <= from_paper
    assert not any(f.sample_data for f in found.findings if f.code in ("claim-and-table", "constant", "group-sizes"))
    # only definitions, scores and other engines need what a run makes, which is not at hand here
    assert {"other-definition", "unit-not-stated"} <= set(found.not_run) <= NOT_AT_HAND


def test_no_rule_names_a_table_or_a_variable_of_the_papers() -> None:
    names = {"table_3", "table_8", "gti", "ulgue", "techhum", "fintech", "ai_x", "0.0638", "smart_city", "Huzhou"}
    for path in Path(package.__file__).parent.glob("*.py"):
        code = path.read_text(encoding="utf-8").replace("table_3 -> table 3", "")  # a docstring's example
        assert [name for name in names if name in code] == [], path.name
