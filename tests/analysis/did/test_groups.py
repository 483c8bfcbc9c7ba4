"""Effects by group are each group's own regression; the tests that they differ have the right size and statistic."""

import numpy as np
import pandas as pd
import pytest
from random_panel import CONTROLS, TREATED, UNIT, YEAR, Y, random_panel, shuffled_and_renamed
from scipy import stats

from analysis.did import group_difference, two_way

GROUP = "region 区域"


def grouped(seed: int = 0, groups: tuple[str, ...] = ("east", "west"), **options: object) -> pd.DataFrame:
    panel = random_panel(seed, **options)
    labels = dict(
        zip(sorted(panel[UNIT].unique()), np.resize(np.repeat(groups, 2), panel[UNIT].nunique()), strict=True)
    )
    return panel.assign(**{GROUP: panel[UNIT].map(labels)})


def compare(panel: pd.DataFrame, treatment: str | list[str] = TREATED, **options: object):
    return group_difference(panel, Y, treatment, CONTROLS, group=GROUP, unit=UNIT, time=YEAR, **options)


def test_each_row_is_the_groups_own_regression() -> None:
    panel = grouped(1)
    result = compare(panel)
    for name, rows in panel.groupby(GROUP):
        own = two_way(rows, Y, TREATED, CONTROLS, unit=UNIT, time=YEAR)
        for column in ("estimate", "se", "t", "p", "low", "high"):
            assert result.table.loc[name, column] == pytest.approx(own.table.loc[TREATED, column])
        assert result.table.loc[name, "n"] == own.n
        assert result.table.loc[name, "treated_units"] == rows.loc[rows[TREATED] == 1, UNIT].nunique()
    assert (result.table["status"] == "estimated").all()


@pytest.mark.parametrize("groups", [("east", "west"), ("east", "central", "west")])
def test_the_chow_test_is_the_clustered_wald_test_of_a_fully_interacted_regression(groups: tuple[str, ...]) -> None:
    from statsmodels.api import OLS

    panel = grouped(2, groups)
    slopes = {f"{name} {g}": panel[name] * (panel[GROUP] == g) for g in groups for name in [TREATED, *CONTROLS]}
    years = pd.get_dummies(panel[YEAR].astype(str) + panel[GROUP])
    first = [column for column in years if column.startswith("2010")]
    x = pd.concat([pd.DataFrame(slopes), pd.get_dummies(panel[UNIT]), years.drop(columns=first)], axis=1).astype(float)
    fitted = OLS(panel[Y], x).fit(cov_type="cluster", cov_kwds={"groups": pd.factorize(panel[UNIT])[0]}, use_t=True)
    terms = [f"{TREATED} {g}" for g in groups]
    contrast = np.column_stack([-np.ones(len(groups) - 1), np.eye(len(groups) - 1)])
    beta, v = contrast @ fitted.params[terms], contrast @ fitted.cov_params().loc[terms, terms] @ contrast.T
    f = beta @ np.linalg.solve(v, beta) / len(beta)
    # statsmodels counts all k parameters; units are nested in the clusters, so only slopes and years by group count.
    n, k = x.shape
    counted = (3 + panel[YEAR].nunique()) * len(groups)
    ours = compare(panel).chow
    assert ours.f == pytest.approx(f * (n - counted) / (n - k), rel=1e-8)
    assert (ours.df, ours.df_denominator) == (len(groups) - 1, 39)
    assert ours.p == pytest.approx(stats.f.sf(ours.f, ours.df, 39))


def test_a_group_without_treated_units_says_so_and_is_left_out_of_the_test() -> None:
    panel = grouped(3, ("east", "central", "west"))
    panel.loc[panel[GROUP] == "central", TREATED] = 0
    result = compare(panel)
    units = panel.loc[panel[GROUP] == "central", UNIT].nunique()
    assert result.table.loc["central", "status"] == "not identified"
    assert result.table.loc["central", "reason"] == f"None of the {units} units of {GROUP} central is treated."
    assert np.isnan(result.table.loc["central", "estimate"])
    without = compare(panel[panel[GROUP] != "central"])
    assert result.chow.f == pytest.approx(without.chow.f) and result.chow.terms == ("east", "west")


def test_one_group_with_an_effect_leaves_nothing_to_compare() -> None:
    panel = grouped(4)
    panel.loc[panel[GROUP] == "west", TREATED] = 0
    result = compare(panel, permutations=10)
    assert np.isnan(result.chow.p) and np.isnan(result.permutation_p)
    assert "only 'east' has an effect that is identified" in result.chow.reason
    assert "only 'east'" in result.summary()


def test_a_group_whose_outcome_is_constant_says_so() -> None:
    panel = grouped(5, ("east", "central", "west"))
    panel.loc[panel[GROUP] == "west", Y] = 1.0
    result = compare(panel)
    assert "there is nothing to explain" in result.table.loc["west", "reason"]
    assert result.chow.terms == ("central", "east")


def test_several_treatments_are_tested_together() -> None:
    panel = grouped(6, units=80)
    panel["second"] = (panel[YEAR] >= 2015) * (panel[UNIT].str[1:].astype(int) % 3 == 0)
    panel["second"] = panel["second"].astype(float)
    result = compare(panel, [TREATED, "second"])
    assert result.table.index.names == ["group", "term"]
    assert result.chow.df == 2


def test_groups_of_unlike_effects_are_told_apart_and_like_ones_are_not() -> None:
    panel = grouped(7, units=120)
    alike = compare(panel, permutations=99)
    panel[Y] += 2.0 * panel[TREATED] * (panel[GROUP] == "west")
    unlike = compare(panel, permutations=99)
    assert unlike.chow.p < 0.01 and unlike.permutation_p <= 0.02
    assert alike.chow.p > 0.05 and alike.permutation_p > 0.05
    assert alike.permutation_p == pytest.approx(alike.chow.p, abs=0.15)


def test_the_permutation_statistic_is_the_chow_statistic() -> None:
    from analysis.did.groups import _Columns, _interacted, _Products
    from analysis.did.regression import cluster_factor

    panel = grouped(8, ("a", "b", "c"))
    names = _Columns(Y, (TREATED,), tuple(CONTROLS), GROUP, UNIT, YEAR, (UNIT, YEAR), (UNIT,))
    design = _interacted(panel, names)
    products = _Products.of(design, len(CONTROLS))
    factor = cluster_factor(len(design.x), design.clusters, design.x.shape[1] + design.absorbed)
    assert products.statistic(products.group) / factor / 2 == pytest.approx(compare(panel).chow.f, rel=1e-8)


def test_groups_are_dealt_among_treated_and_among_untreated_units() -> None:
    from analysis.did.groups import _deal

    group, treated = np.repeat([0, 1, 2], 20), np.tile([True, False, False, False], 15)
    dealt = np.array([_deal(group, treated, np.random.default_rng(seed)) for seed in range(200)])
    for stratum in (treated, ~treated):
        assert (np.sort(dealt[:, stratum], axis=1) == np.sort(group[stratum])).all()
        assert np.all(np.abs((dealt[:, stratum] == 0).mean(axis=0) - 1 / 3) < 0.15)


def test_under_equal_effects_the_permutation_p_is_uniform() -> None:
    p_values = [compare(grouped(seed, units=24), permutations=19).permutation_p for seed in range(20)]
    assert stats.kstest(p_values, "uniform").pvalue > 0.001


def test_row_order_labels_and_seed_fix_the_permutations() -> None:
    panel = grouped(9)
    first, second = compare(panel, permutations=50), compare(shuffled_and_renamed(panel), permutations=50)
    assert first.permutation_p == second.permutation_p
    pd.testing.assert_frame_equal(first.table, second.table, rtol=1e-8)


def test_rows_without_a_group_are_dropped_and_said() -> None:
    panel = grouped(10)
    panel[GROUP] = panel[GROUP].where(panel[UNIT] != panel[UNIT].iloc[0], None)
    rows = int(panel[GROUP].isna().sum())
    assert f"{rows} rows dropped: {GROUP!r} is missing." in compare(panel).notes


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        (lambda p: p.assign(**{GROUP: "all"}), {}, "has the one value 'all' in the rows used"),
        (lambda p: p.assign(**{GROUP: p[YEAR] % 2}), {}, r"is in several groups of .* one of 40 such units"),
        (lambda p: p, {"permutations": 9, "cluster": "province"}, "needs one treatment, unit and time effects"),
    ],
)
def test_what_cannot_be_compared_is_refused_in_a_sentence(change, options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        compare(change(grouped(11)), **options)
