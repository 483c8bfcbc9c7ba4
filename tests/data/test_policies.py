"""The policy lists: what follows from timing alone, and that every row can be traced. No estimates here."""

import itertools

import numpy as np
import pandas as pd
import pytest

COLUMNS = [
    "city_code", "name_zh", "name_en", "adoption", "adoption_alternative", "batch", "scope", "source", "certainty",
    "note",
]  # fmt: skip
MUNICIPALITIES = ["110000", "120000", "310000", "500000"]


def treatment(sample: pd.Series, policy: pd.DataFrame, first: int, last: int) -> pd.DataFrame:
    """One row a city-year, treated from the year of adoption on."""
    panel = pd.DataFrame(itertools.product(sample, range(first, last + 1)), columns=["city_code", "year"])
    adoption = policy.set_index("city_code")["adoption"].astype(int)
    panel["treated"] = (panel["year"] >= panel["city_code"].map(adoption)).astype(int)
    return panel


def bacon_weights(size: dict[float, float], first: int, last: int) -> dict[str, float]:
    """Weights of the three kinds of comparison (Goodman-Bacon 2021, equations 10a-10g), scaled to one.

    ``size`` maps the year of adoption (inf: never) to the number of units.
    """
    periods, units = last - first + 1, sum(size.values())
    share = {cohort: (last - cohort + 1) / periods for cohort in size if np.isfinite(cohort)}
    weights = {"treated against never": 0.0, "earlier against later": 0.0, "later against earlier": 0.0}
    for cohort in share:
        never = size[np.inf]
        half = size[cohort] / (size[cohort] + never)
        variance = half * (1 - half) * share[cohort] * (1 - share[cohort])
        weights["treated against never"] += ((size[cohort] + never) / units) ** 2 * variance
    for early, late in itertools.combinations(sorted(share), 2):
        pair, half = (size[early] + size[late]) / units, size[early] / (size[early] + size[late])
        k, j = share[early], share[late]
        variance = half * (1 - half) * (k - j) / (1 - j) * (1 - k) / (1 - j)
        weights["earlier against later"] += (pair * (1 - j)) ** 2 * variance
        variance = half * (1 - half) * j / k * (k - j) / k
        weights["later against earlier"] += (pair * k) ** 2 * variance
    total = sum(weights.values())
    return {kind: weight / total for kind, weight in weights.items()}


def test_cluster_treatment_has_the_printed_mean_and_deviation(cities, policies):
    sample = cities.loc[cities["panel_281"].eq("1"), "city_code"]
    panel = treatment(sample, policies["innovative_clusters"], 2006, 2021)
    assert len(panel) == 4496
    assert round(panel["treated"].mean(), 4) == 0.0827
    assert round(panel["treated"].std(), 4) == 0.2755


def test_ai_treatment_has_the_printed_mean_and_deviation(cities, policies):
    sample = cities.loc[cities["panel_286"].eq("1"), "city_code"]
    panel = treatment(sample, policies["ai_pilot_zones"], 2015, 2023)
    assert len(panel) == 2574
    assert round(panel["treated"].mean(), 4) == 0.0287
    assert round(panel["treated"].std(), 4) == 0.1671


def test_bacon_weights_of_the_ai_zones_are_the_printed_ones(cities, policies):
    zones = policies["ai_pilot_zones"]
    size = {float(year): float(n) for year, n in zones["adoption"].value_counts().items()}
    size[np.inf] = cities["panel_286"].eq("1").sum() - len(zones)
    weights = bacon_weights(size, 2015, 2023)
    assert weights["earlier against later"] == pytest.approx(0.00630, abs=5e-6)
    assert weights["later against earlier"] == pytest.approx(0.00493, abs=5e-6)
    assert weights["treated against never"] == pytest.approx(0.98876, abs=5e-6)


def test_bacon_weights_here_give_goodman_bacon_figure_2():
    # Three units, 100 periods, treated from 34 and 85, one never: .365 .222 .278 .135.
    weights = bacon_weights({34.0: 1, 85.0: 1, np.inf: 1}, 1, 100)
    assert weights["treated against never"] == pytest.approx(0.365 + 0.222, abs=0.001)
    assert weights["earlier against later"] == pytest.approx(0.278, abs=0.001)
    assert weights["later against earlier"] == pytest.approx(0.135, abs=0.001)


def test_without_the_municipalities_2538_rows_remain(cities, policies):
    sample = cities.loc[cities["panel_286"].eq("1") & cities["level"].ne("municipality"), "city_code"]
    assert len(sample) == 282
    assert len(treatment(sample, policies["ai_pilot_zones"], 2015, 2023)) == 2538


def test_all_pilot_cities_of_both_papers_are_in_their_samples(cities, policies):
    in_281 = set(cities.loc[cities["panel_281"].eq("1"), "city_code"])
    in_286 = set(cities.loc[cities["panel_286"].eq("1"), "city_code"])
    assert set(policies["innovative_clusters"]["city_code"]) <= in_281
    assert set(policies["ai_pilot_zones"]["city_code"]) <= in_286


@pytest.mark.parametrize(
    ("policy", "by_year"),
    [
        ("innovative_clusters", {"2013": 10, "2014": 19, "2017": 26}),
        ("ai_pilot_zones", {"2019": 7, "2020": 6, "2021": 5}),
        ("key_environmental_cities", {"2006": 113}),
        # twelve cities and four groups; Hengyang and the three of Henan came in 2017
        ("made_in_china_2025", {"2016": 21, "2017": 9}),
    ],
)
def test_counts_by_year_are_those_of_the_record(policies, policy, by_year):
    assert policies[policy]["adoption"].value_counts().to_dict() == by_year
    assert policies[policy]["city_code"].is_unique


def test_made_in_china_2025_is_twelve_cities_and_four_groups(policies):
    rows = policies["made_in_china_2025"]
    assert rows["scope"].value_counts().to_dict() == {"city group": 18, "whole city": 12}
    groups = rows[rows["scope"].eq("city group")]
    assert groups.groupby(groups["city_code"].str[:2]).size().to_dict() == {"32": 5, "41": 3, "43": 4, "44": 6}
    assert set(rows.loc[rows["adoption"].eq("2017") & rows["scope"].eq("city group"), "city_code"]) == {
        *("410100", "410300", "410700", "430400")
    }


def test_innovative_cities_are_the_78_that_the_ministry_evaluates(policies, pilots_outside):
    outside = pilots_outside[pilots_outside["policy"].eq("innovation_driven_city")]
    rows = pd.concat([policies["innovation_driven_city"], outside])
    assert len(rows) == 78
    assert rows["adoption"].eq("2018").sum() == 17
    # twenty of 10 January 2010: twelve under their own batch, eight that the commission had named as well
    first = rows[rows["source"].str.contains("first 20 innovative city pilots")]
    assert first["scope"].value_counts().to_dict() == {"whole city": 8, "district": 4}
    also = {"南京市", "合肥市", "厦门市", "济南市", "长沙市", "广州市", "成都市", "西安市"}
    assert set(rows.loc[rows["batch"].eq("2") & rows["name_zh"].isin(also), "adoption"]) == {"2010"}


def test_smart_cities_by_batch_stay_within_what_the_ministry_counted(policies, pilots_outside):
    outside = pilots_outside[pilots_outside["policy"].eq("smart_city")]
    rows = pd.concat([policies["smart_city"], outside])
    # 37 prefecture-level pilots in the first batch; 83 cities and districts in the second; 84 of any level in the third
    assert rows.groupby("batch").size().to_dict() == {"1": 36, "2": 42, "3": 18}


def test_an_entry_that_was_never_compared_with_the_printed_list_counts_as_unchecked(policies):
    for name, rows in policies.items():
        never = rows["note"].str.contains("not yet compared|to be checked|typed from the literature")
        assert rows.loc[never, "certainty"].eq("to be checked").all(), name


def test_low_carbon_batches_add_up_to_the_three_notices(policies, pilots_outside):
    outside = pilots_outside[pilots_outside["policy"].eq("low_carbon_cities")]
    rows = pd.concat([policies["low_carbon_cities"], outside])
    named = rows[rows["scope"].ne("province")].groupby("batch").size().to_dict()
    # Eight cities; Beijing, Shanghai and 26 more; 45 cities and counties.
    assert named == {"1": 8, "2": 28, "3": 45}
    of_provinces = rows[rows["scope"].eq("province")]
    assert set(of_provinces.loc[of_provinces["batch"].eq("1"), "city_code"].str[:2]) == {"21", "42", "44", "53", "61"}
    assert set(of_provinces.loc[of_provinces["batch"].eq("2"), "city_code"].str[:2]) == {"46"}


@pytest.mark.parametrize(
    ("policy", "prefixes"),
    [("energy_consumption_rights", {"33", "35", "41", "51"}), ("digital_economy_zones", {"33", "35", "44", "51"})],
)
def test_a_provincial_pilot_lists_every_city_of_the_province(cities, policies, policy, prefixes):
    rows = policies[policy]
    listed = set(rows.loc[rows["scope"].eq("province"), "city_code"])
    assert listed == {code for code in cities["city_code"] if code[:2] in prefixes}


def test_every_list_has_the_same_columns_and_one_row_per_city_and_scope(policies):
    for name, rows in policies.items():
        assert list(rows.columns) == COLUMNS, name
        assert not rows.duplicated(["city_code", "scope"]).any(), name


def test_every_policy_city_is_in_the_roster_under_its_own_name(cities, policies):
    known = set(zip(cities["city_code"], cities["name_zh"], cities["name_en"], strict=True))
    for name, rows in policies.items():
        listed = set(zip(rows["city_code"], rows["name_zh"], rows["name_en"], strict=True))
        assert listed <= known, (name, listed - known)


def test_pilots_outside_the_roster_are_known_units_of_a_listed_policy(cities, units, policies, pilots_outside):
    assert set(pilots_outside["policy"]) <= set(policies)
    assert not set(pilots_outside["city_code"]) & set(cities["city_code"])
    names = units.set_index("city_code")["name"]
    assert names[pilots_outside["city_code"]].tolist() == pilots_outside["name_zh"].tolist()


def test_every_row_states_source_certainty_and_years(policies):
    for name, rows in policies.items():
        assert set(rows["certainty"]) <= {"printed in the paper", "public record", "to be checked"}, name
        assert set(rows["scope"]) <= {"whole city", "county", "district", "province", "city group"}, name
        assert rows["source"].str.len().gt(10).all(), name
        assert rows["adoption"].astype(int).between(2006, 2021).all(), name
        alternative = rows.loc[rows["adoption_alternative"].ne(""), ["adoption", "adoption_alternative"]].astype(int)
        assert (alternative["adoption_alternative"] - alternative["adoption"]).abs().eq(1).all(), name


def test_partial_and_shared_coverage_is_explained_in_the_note(policies):
    for name, rows in policies.items():
        partial = rows[rows["scope"].isin(["county", "district", "city group"])]
        assert partial["note"].ne("").all(), name


def test_ambiguous_romanised_names_were_resolved_on_purpose(policies):
    clusters = policies["innovative_clusters"].set_index("city_code")
    for code in ["320500", "321200", "361000", "370800"]:
        assert "printed" in clusters.loc[code, "note"]
    assert not set(clusters.index) & {"341300", "331000", "350100"}
