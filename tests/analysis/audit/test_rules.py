"""Every rule: silent on the clean study, and finds the one thing that each case breaks."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from analysis.agreement import Opinion
from analysis.agreement.opinion import judge
from analysis.audit import RULES, SEVERITIES, Audit, Inputs, audit
from analysis.audit.evidence import _exposure
from analysis.did import two_way
from analysis.studies.published.text import NOT_STATED, Claim, Definition, Reference, Window
from analysis.studies.records import Model, Study

Break = Callable[..., Inputs]


def test_the_audit_is_silent_on_a_clean_study(clean: Inputs) -> None:
    result = audit(clean)
    assert [f"{f.code}: {f.evidence}" for f in result.findings] == []
    assert result.not_run == {}
    assert set(result.silent) == {rule.code for rule in RULES}


def printed(inputs: Inputs, exhibit: str, model: str, term: str, **numbers: float) -> Inputs:
    """The inputs with some numbers of a printed term replaced; n and r2 are those of the whole column."""
    table = inputs.printed.table.copy()
    column = table["exhibit"].eq(exhibit) & table["model"].eq(model)
    assert (column & table["term"].eq(term)).sum() == 1, (exhibit, model, term)
    for name, value in numbers.items():
        table.loc[column if name in ("n", "r2") else column & table["term"].eq(term), name] = value
    return replace(inputs, printed=replace(inputs.printed, table=table))


def added(inputs: Inputs, exhibit: str, model: str, term: str, estimate: float) -> Inputs:
    """The inputs with one more printed number."""
    row = {"study": "calm", "exhibit": exhibit, "model": model, "term": term, "estimate": estimate, "exact": False}
    table = pd.concat([inputs.printed.table, pd.DataFrame([row])], ignore_index=True)
    return replace(inputs, printed=replace(inputs.printed, table=table))


def without(inputs: Inputs, exhibit: str, model: str, term: str | None = None) -> Inputs:
    """The inputs with a printed number, or a whole column, left out."""
    table = inputs.printed.table
    gone = table["exhibit"].eq(exhibit) & table["model"].eq(model)
    gone &= table["term"].eq(term) if term else True
    return replace(inputs, printed=replace(inputs.printed, table=table[~gone]))


def number(inputs: Inputs, exhibit: str, model: str, term: str, name: str = "estimate") -> float:
    """A printed number."""
    item = inputs.value(exhibit, model, term)
    assert item is not None
    return getattr(item, name)


def said(inputs: Inputs, **changes: object) -> Inputs:
    """The inputs with parts of the text replaced."""
    return replace(inputs, printed=replace(inputs.printed, text=replace(inputs.text, **changes)))


def defined(inputs: Inputs, **changes: object) -> Inputs:
    """The inputs with one definition replaced."""
    definition = Definition(**changes)  # type: ignore[arg-type]
    return said(inputs, definitions={**inputs.text.definitions, definition.variable: definition})


def claimed(inputs: Inputs, **changes: object) -> Inputs:
    """The inputs with one claim about table 2 and no other."""
    parts = {"says": "it is so", "exhibit": "table_2", "models": ("(2)",), "terms": ("did",)}
    return said(inputs, claims=(Claim(**(parts | changes)),))  # type: ignore[arg-type]


def specified(inputs: Inputs, exhibit: str, change: Callable[[Model], Model]) -> Inputs:
    """The inputs with the models of an exhibit changed."""
    study: Study = inputs.study
    exhibits = tuple(
        replace(part, models=tuple(map(change, part.models))) if part.name == exhibit else part
        for part in study.exhibits
    )
    return replace(inputs, study=replace(study, exhibits=exhibits))


def with_panel(inputs: Inputs, panel: pd.DataFrame) -> Inputs:
    """The inputs with another panel under the same printed figures."""
    return replace(inputs, panel=panel)


def leads_grow(panel: pd.DataFrame) -> pd.DataFrame:
    """Treated cities on a path of their own before the policy."""
    before = (panel["year"] - panel["adoption"]).clip(upper=-1).fillna(0) + 1
    return panel.assign(y=panel["y"] + 0.1 * before.where(panel["adoption"].notna(), 0))


def policy_moves_share(panel: pd.DataFrame) -> pd.DataFrame:
    """A control that the policy moves and through which half of its effect goes."""
    share = panel["share"] + 0.1 * panel["did"]
    return panel.assign(share=share, y=panel["y"] + 5 * (share - panel["share"]))


def neighbours_gain(inputs: Inputs) -> Inputs:
    """Untreated cities that gain when their neighbours are treated."""
    panel = inputs.panel.sort_values(["city_code", "year"])
    return with_panel(inputs, panel.assign(y=panel["y"] + 1.0 * _exposure(inputs)))


def barely_significant(inputs: Inputs) -> Inputs:
    """Both outcomes with a t of 2.05: significant alone, not together."""
    panel = inputs.panel
    for outcome in ("y", "y2"):
        effect = two_way(panel, outcome, "did", ["share", "percent", "size"], unit="city_code", time="year")
        row = effect.table.loc["did"]
        panel = panel.assign(**{outcome: panel[outcome] + (2.05 * row["se"] - row["estimate"]) * panel["did"]})
    return with_panel(inputs, panel)


def few_in_the_east(inputs: Inputs) -> Inputs:
    """All but four treated cities in the west."""
    treated = set(inputs.panel.dropna(subset=["adoption"])["city_code"].unique()[4:])
    cities = inputs.cities
    return replace(
        inputs, cities=cities.assign(region=cities["region"].where(~cities["city_code"].isin(treated), "west"))
    )


def treat_only(inputs: Inputs, count: int) -> Inputs:
    """The panel with only so many treated cities."""
    panel = inputs.panel
    kept = panel.dropna(subset=["adoption"])["city_code"].unique()[:count]
    adoption = panel["adoption"].where(panel["city_code"].isin(kept))
    return with_panel(inputs, panel.assign(adoption=adoption, did=(panel["year"] >= adoption).astype(float)))


def treat_nearly_all(inputs: Inputs) -> Inputs:
    """Most cities treated early, the rest late: the early ones serve as controls for long."""
    panel = inputs.panel
    rank = panel["city_code"].rank(method="dense")
    adoption = np.where(rank <= 180, 2002.0, np.where(rank <= 290, 2008.0, np.nan))
    return with_panel(inputs, panel.assign(adoption=adoption, did=(panel["year"] >= adoption).astype(float)))


def county_pilot(inputs: Inputs) -> Inputs:
    """One pilot that is a county."""
    pilots = inputs.pilots["pilots"].copy()
    pilots.loc[0, "scope"] = "county"
    return replace(inputs, pilots={"pilots": pilots})


def everyone_large(inputs: Inputs) -> Inputs:
    """A group that holds every city."""
    groups = tuple(replace(group, threshold=-1e9) for group in inputs.study.groups)
    return replace(inputs, study=replace(inputs.study, groups=groups))


def no_main_effect(model: Model) -> Model:
    assert model.interaction is not None
    return replace(model, interaction=replace(model.interaction, main_effect=False))


BASE = ("table_2", "(2)", "did")
REFERENCE = Reference(*BASE)
SMALL = Definition("share", "a share", "share", "industry_share")

#: Code of a rule -> what breaks the clean study, and a word of the evidence.
CASES: list[tuple[str, Break, str]] = [
    ("impossible-moments", lambda m, make: printed(m, "table_1", "y", "sd", estimate=99.0), "largest"),
    ("impossible-moments", lambda m, make: printed(m, "table_1", "y", "mean", estimate=99.0), "outside the range"),
    ("impossible-moments", lambda m, make: printed(m, "table_1", "did", "sd", estimate=0.1), "Zeros and ones"),
    ("outside-interval", lambda m, make: added(added(m, *BASE[:2], "did low", 9.0), *BASE[:2], "did high", 10.0), "9"),
    ("wrong-stars", lambda m, make: printed(m, *BASE, stars=0), "t ="),
    ("parts-and-total", lambda m, make: printed(m, "table_13", "sar", "total", estimate=0.6), "sum to"),
    (
        "parts-and-total",
        lambda m, make: printed(m, "table_5", "treated against never treated", "weight", estimate=0.9),
        "not to 1",
    ),
    ("constant", lambda m, make: printed(m, "table_2", "(1)", "const", estimate=9.0), "imply a constant"),
    ("first-stage", lambda m, make: printed(m, "table_9", "second", "kp_rk_wald_f", estimate=9.0), "square"),
    ("nested-fit", lambda m, make: printed(m, "table_3", "(1)", "did", r2=0.1), "cannot fall"),
    ("group-sizes", lambda m, make: printed(m, "table_4", "(1)", "did", n=1499), "2,999"),
    ("group-sizes", lambda m, make: printed(m, "table_4", "(1)", "did", n=1600), "at most 1,500"),
    ("sample-years", lambda m, make: printed(m, *BASE, n=3900), "300 x 13"),
    ("sample-years", lambda m, make: printed(m, *BASE, n=3901), "no multiple"),
    ("rows-lost", lambda m, make: printed(m, *BASE, n=2990), "2,990 of 3,000"),
    ("rows-lost", lambda m, make: printed(m, *BASE, n=2000), "are gone"),
    ("sample-cut", lambda m, make: printed(m, "table_7", "(1)", "did", n=900), "(30%)"),
    (
        "same-estimate-other-error",
        lambda m, make: printed(
            m, "table_10", "(1)", "did", se=round(number(m, "table_10", "(1)", "did", "se") * 1.0545, 4)
        ),
        "which explains it",
    ),
    (
        "same-estimate-other-error",
        lambda m, make: printed(m, "table_10", "(1)", "did", se=number(m, "table_10", "(1)", "did", "se") * 1.5),
        "does not explain",
    ),
    ("list-and-table", lambda m, make: printed(m, "table_1", "did", "mean", estimate=0.2), "of the list"),
    ("list-and-table", lambda m, make: said(m, treated_cities=41), "41"),
    (
        "repeated-estimate",
        lambda m, make: printed(
            printed(m, "table_3", "(1)", "did", estimate=0.51234, se=0.02345), *BASE, estimate=0.51234, se=0.02345
        ),
        "2 different regressions",
    ),
    ("standard-error-out-of-line", lambda m, make: printed(m, "table_3", "(1)", "did", se=0.003), "0.003"),
    (
        "group-standard-errors",
        lambda m, make: printed(printed(m, "table_4", "(1)", "did", se=0.01), "table_4", "(2)", "did", se=0.01),
        "No part of the rows",
    ),
    (
        "group-fit",
        lambda m, make: printed(printed(m, "table_4", "(1)", "did", r2=0.2), "table_4", "(2)", "did", r2=0.1),
        "between groups",
    ),
    ("omitted-variable", lambda m, make: printed(m, "table_3", "(1)", "did", estimate=0.1), "outside -1 to 1"),
    (
        "omitted-variable",
        lambda m, make: printed(m, "table_3", "(1)", "did", estimate=number(m, "table_3", "(1)", "did") + 0.03),
        "one coefficient for all outcomes",
    ),
    ("fit-of-another-kind", lambda m, make: printed(m, "table_9", "second", "did", r2=0.03), "0.03"),
    ("constant-moved", lambda m, make: printed(m, "table_4", "(1)", "const", estimate=99.0), "99"),
    (
        "decomposition-mean",
        lambda m, make: printed(m, "table_5", "treated against never treated", "estimate", estimate=0.3),
        "equal by construction",
    ),
    (
        "decomposition-mean",
        lambda m, make: printed(
            without(m, "table_2", "(1)"), "table_5", "treated against never treated", "estimate", estimate=0.3
        ),
        "standard errors away",
    ),
    ("autocorrelation-precision", lambda m, make: printed(m, "table_11", "2001", "contiguity", estimate=0.01), "0.01"),
    ("autocorrelation-precision", lambda m, make: printed(m, "table_12", "sar", "rho", se=0.12), "neighbours a city"),
    ("instrument-strength", lambda m, make: printed(m, "table_9", "second", "kp_rk_lm", estimate=1.0), "LM statistic"),
    ("claim-and-table", lambda m, make: claimed(m, estimate=9.0), "prints"),
    ("claim-and-table", lambda m, make: claimed(m, terms=("nothing",)), "no such number"),
    ("claim-and-table", lambda m, make: claimed(m, columns=3), "speaks of 3 columns"),
    ("claim-and-table", lambda m, make: claimed(m, sign=-1), "other sign"),
    ("claim-and-table", lambda m, make: claimed(printed(m, *BASE, se=0.4), level=0.01), "not below 0.01"),
    ("claim-and-table", lambda m, make: claimed(m, within=(8.0, 9.0)), "outside 8 to 9"),
    (
        "claim-and-table",
        lambda m, make: claimed(m, exhibit="table_6", models=("(1)",), larger_than=REFERENCE),
        "is below",
    ),
    ("claim-and-table", lambda m, make: claimed(m, larger_than=REFERENCE), "is equal to"),
    (
        "claim-and-table",
        lambda m, make: claimed(m, exhibit="table_6", models=("(1)",), close_to=REFERENCE),
        "standard errors from",
    ),
    ("share-above-one", lambda m, make: printed(m, "table_1", "share", "max", estimate=1.2), "1.2"),
    ("share-above-one", lambda m, make: printed(m, "table_1", "percent", "max", estimate=120.0), "120"),
    (
        "share-above-one",
        lambda m, make: with_panel(m, m.panel.assign(share=m.panel["share"].where(m.panel.index != 7, 1.3))),
        "1 rows of the panel",
    ),
    (
        "percentage-or-share",
        lambda m, make: defined(m, variable="share", says="a share (%)", scale="percent", source="industry_share"),
        "is a share of",
    ),
    ("odd-extreme", lambda m, make: printed(m, "table_1", "share", "sd", estimate=0.005), "SD away"),
    ("not-winsorized", lambda m, make: printed(m, "table_1", "size", "max", estimate=9.0), "SD from the mean"),
    (
        "other-definition",
        lambda m, make: defined(m, variable="size", says="ln", scale="log", source="real_gdp_per_capita_yuan"),
        "not real_gdp_per_capita_yuan",
    ),
    ("other-definition", lambda m, make: defined(m, variable="share", says="x", scale="share", source="absent"), "fit"),
    (
        "unit-not-stated",
        lambda m, make: defined(
            m, variable="size", says="ln", scale="log", source="population_resident_10k", unit=NOT_STATED
        ),
        "in no unit",
    ),
    ("event-window", lambda m, make: said(m, event_studies={"figure_1": Window(0, 3, 3)}), "in force"),
    ("event-window", lambda m, make: said(m, event_studies={"figure_1": Window(-1, 3, 9)}), "after period 5"),
    ("event-window", lambda m, make: said(m, event_studies={"figure_1": Window(-1, 9, 3)}), "before period -5"),
    ("interaction-is-treatment", lambda m, make: everyone_large(m), "equals the treatment"),
    ("interaction-alone", lambda m, make: specified(m, "table_7", no_main_effect), "count as controls"),
    ("undersized-group", lambda m, make: few_in_the_east(m), "treated cities of"),
    ("few-treated-clusters", lambda m, make: treat_only(m, 12), "12 of 300"),
    ("partly-treated-city", lambda m, make: county_pilot(m), "1 of 40"),
    ("anticipation-not-shown", lambda m, make: without(m, "table_8", "(1)", "did_lead_1"), "prints only"),
    ("forbidden-comparisons", lambda m, make: treat_nearly_all(m), "cohort 2008 with cohort 2002"),
    ("negative-weights", lambda m, make: treat_nearly_all(m), "negative"),
    ("pretrend", lambda m, make: with_panel(m, leads_grow(m.panel)), "leads"),
    ("pretrend-power", lambda m, make: make(panel=make.simulate(noise=0.8)), "insignificant leads"),
    (
        "mixed-units",
        lambda m, make: said(m, units={**m.text.units, "real_gdp_per_capita_yuan": "10,000 t"}),
        "does not matter",
    ),
    ("bad-control", lambda m, make: with_panel(m, policy_moves_share(m.panel)), "share moves by"),
    ("spillover", lambda m, make: neighbours_gain(m), "nearest cities"),
    ("many-outcomes", lambda m, make: barely_significant(m), "together"),
    (
        "many-printed-outcomes",
        lambda m, make: printed(
            printed(m, *BASE, estimate=0.2, se=0.097), "table_6", "(1)", "did", estimate=0.2, se=0.097
        ),
        "by Holm",
    ),
    ("engines-part", lambda m, make: parted(m, estimate=0.4), "finds 0.4"),
]


def rule(code: str, inputs: Inputs) -> Audit:
    """The audit by one rule."""
    return audit(inputs, [rule for rule in RULES if rule.code == code])


@pytest.mark.parametrize(("code", "broken", "word"), CASES, ids=[f"{case[0]}-{i}" for i, case in enumerate(CASES)])
def test_a_rule_finds_what_it_is_for(clean: Inputs, make, code: str, broken: Break, word: str) -> None:
    result = rule(code, broken(clean, make))
    assert result.not_run == {}
    assert any(word in finding.evidence for finding in result.findings), [f.evidence for f in result.findings]
    for finding in result.findings:
        assert finding.severity in SEVERITIES
        assert finding.advice and finding.title_zh and finding.advice_zh
        assert any(character.isdigit() for character in finding.evidence)


def parted(inputs: Inputs, **numbers: float) -> Inputs:
    """The inputs where an engine got another effect in table 2."""
    agreement = inputs.agreement.copy()
    at = agreement["model"].eq("(2)") & agreement["term"].eq("did") & agreement["engine"].eq("pyfixest")
    published = inputs.estimates.query("exhibit == 'table_2' and model == '(2)' and term == 'did'").iloc[0]
    opinion = Opinion(
        "did", "pyfixest", *({"estimate": published["estimate"], "se": published["se"]} | numbers).values()
    )
    agreement.loc[at, ["estimate", "se"]] = opinion.estimate, opinion.se
    agreement.loc[at, ["difference", "verdict", "reason"]] = judge(published, opinion)
    return replace(inputs, agreement=agreement)


def test_engines_that_part_are_an_error_where_sign_or_stars_turn_and_else_a_warning(clean: Inputs) -> None:
    for numbers, severity in (({"estimate": 0.499}, "warning"), ({"estimate": -0.5}, "error"), ({"se": 0.45}, "error")):
        (finding,) = rule("engines-part", parted(clean, **numbers)).findings
        assert (finding.severity, finding.exhibit, finding.variable) == (severity, "table_2", "did"), numbers


def test_every_rule_has_a_case() -> None:
    assert {code for code, _, _ in CASES} == {rule.code for rule in RULES}
    assert len({rule.code for rule in RULES}) == len(RULES)


def test_a_rule_without_what_it_reads_says_so_and_the_others_go_on(clean: Inputs) -> None:
    blind = replace(clean, city_year=None, cities=clean.cities.drop(columns=["longitude"]), panel=None)
    result = audit(blind)
    assert "panels.city_year" not in " ".join(result.silent)
    assert {"spillover", "pretrend", "forbidden-comparisons"} <= set(result.not_run)
    assert "There is no panel at hand." in result.not_run.values()
    assert "wrong-stars" in result.silent


def test_findings_come_worst_first_and_say_when_they_rest_on_sample_data(clean: Inputs) -> None:
    worse = printed(with_panel(clean, leads_grow(clean.panel)), *BASE, stars=0)
    worse = printed(worse, "table_2", "(1)", "const", estimate=9.0)
    result = audit(replace(worse, is_sample=True))
    severities = [finding.severity for finding in result.findings]
    assert severities == sorted(severities, key=SEVERITIES.index)
    assert {"error", "warning"} <= set(severities)
    marked = {finding.code: finding.sample_data for finding in result.findings}
    assert marked["pretrend"] is True
    assert marked["constant"] is False
    assert list(result.table.columns[:3]) == ["severity", "code", "title"]
    text = result.summary()
    assert "ERROR constant" in text and "[on sample data]" in text


def test_the_audit_does_not_depend_on_the_order_of_rows_or_the_index(clean: Inputs) -> None:
    shuffled = clean.panel.sample(frac=1, random_state=3).set_index(pd.Index(range(9, 9 + len(clean.panel))))
    moved = with_panel(clean, leads_grow(shuffled))
    straight = with_panel(clean, leads_grow(clean.panel))
    assert audit(moved).findings == audit(straight).findings
