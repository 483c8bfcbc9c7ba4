"""Constructed variables in SQL say the same as analysis.indices, to the last digits, on random data."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import duckdb
import jinja2
import numpy as np
import pandas as pd
import pytest

from analysis import catalogue, indices
from analysis.formulas import parse
from analysis.studies import spec
from dagster_project import models
from dagster_project.paths import DBT_PROJECT

pytestmark = pytest.mark.xdist_group("dbt")

#: Flags of city_year that every panel carries.
BORDERS = ("borders_merged", "borders_changed")
#: Entropy indices that a panel builds anew, and their parts.
ENTROPY = catalogue.load().indices


def refuse(message: str) -> None:
    raise ValueError(message)


@pytest.fixture(scope="module")
def macros():
    """The macros of variables.sql, rendered by the template engine that dbt renders them with."""
    environment = jinja2.Environment(extensions=["jinja2.ext.do"])
    environment.globals["exceptions"] = SimpleNamespace(raise_compiler_error=refuse)
    return environment.from_string((DBT_PROJECT / "macros" / "variables.sql").read_text(encoding="utf-8")).module


def evaluate(sql: str, frame: pd.DataFrame) -> pd.DataFrame:
    with duckdb.connect() as connection:
        connection.register("frame", frame)
        return connection.execute(sql).df()


def random_panel(seed: int) -> pd.DataFrame:
    """Cities with gaps of every length, at the ends and within, years without a row, a city never measured."""
    rng = np.random.default_rng(seed)
    index = pd.MultiIndex.from_product(
        [[f"{n:06d}" for n in range(30)], range(2000, 2020)], names=["city_code", "year"]
    )
    frame = index.to_frame(index=False)
    frame["x"] = rng.normal(size=len(frame)) * 10.0 ** rng.integers(-3, 9, len(frame))
    frame.loc[rng.random(len(frame)) < rng.choice([0.1, 0.6]), "x"] = np.nan
    frame.loc[frame.city_code == "000007", "x"] = np.nan
    return frame[rng.random(len(frame)) > 0.1].sample(frac=1, random_state=seed).reset_index(drop=True)


@pytest.mark.parametrize("method", ["linear", "neighbour_mean"])
@pytest.mark.parametrize(("seed", "max_gap"), [*((seed, None) for seed in range(8)), (0, 1), (1, 2), (4, 1)])
def test_interpolation_in_sql_is_interpolation_in_python(macros, method, seed, max_gap):
    frame = random_panel(seed)
    sql = f"select city_code, year, {macros.interpolate('x', method, max_gap=max_gap)} as filled from frame"
    found = frame.merge(evaluate(sql, frame), on=["city_code", "year"], how="left").filled
    expected = indices.interpolate(frame, "x", unit="city_code", time="year", method=method, max_gap=max_gap)
    assert expected["x__imputed"].any()
    if max_gap:
        every = indices.interpolate(frame, "x", unit="city_code", time="year", method=method)
        assert expected["x__imputed"].sum() < every["x__imputed"].sum(), "the limit must bind"
    np.testing.assert_allclose(found, expected["x"], rtol=1e-12, equal_nan=True)


def test_no_interpolation_leaves_the_column_and_an_unknown_method_is_refused(macros):
    assert macros.interpolate("x", "none").strip() == "x"
    with pytest.raises(ValueError, match="none, linear or neighbour_mean, not spline"):
        macros.interpolate("x", "spline")


@pytest.mark.parametrize("n", [1, 2, 3, 99, 100, 101, 200, 286 * 9, 281 * 16, 1000, 12345])
def test_percentiles_in_sql_are_statas_as_in_python(macros, n):
    rng = np.random.default_rng(n)
    frame = pd.DataFrame({"x": np.concatenate([rng.normal(size=n).round(1), [np.nan] * 7])}).sample(
        frac=1, random_state=0
    )
    shares = (0.01, 0.05, 0.1, 0.25, 0.29, 0.5, 0.57, 0.9, 0.95, 0.99)
    sql = ", ".join(f"{macros.percentile('x', share)} as p{i}" for i, share in enumerate(shares))
    found = evaluate(f"select {sql} from frame", frame).iloc[0]
    for value, share in zip(found, shares, strict=True):
        # 100 x 0.29 is a hair off 29 in floating point, so the rank is taken from whole percents
        assert value == indices.percentile(frame["x"].to_numpy(), round(share * 100)), share


def test_the_percentile_of_nothing_is_missing(macros):
    frame = pd.DataFrame({"x": pd.Series([np.nan, np.nan])})
    found = evaluate(f"select {macros.percentile('x', 0.5)} as p from frame", frame)
    assert found["p"].isna().all()


def test_the_structure_angle_in_sql_is_the_one_in_python():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.dirichlet([0.4, 0.5, 0.5], 2000) * 10.0 ** rng.integers(0, 9, (2000, 1)), columns=[*"abc"])
    frame.loc[:2] = np.eye(3)
    frame.loc[3, "b"] = np.nan
    frame.loc[4] = 0.0
    expected = indices.industrial_structure_angle(frame, ["a", "b", "c"])
    found = evaluate(f"select {parse('industrial_structure_angle(a, b, c)').sql()} as angle from frame", frame)
    np.testing.assert_allclose(found["angle"], expected, rtol=1e-12, equal_nan=True)
    assert expected[[3, 4]].isna().all()


@pytest.mark.parametrize("seed", range(4))
def test_capital_by_perpetual_inventory_in_sql_is_the_one_in_python(macros, seed):
    frame = random_panel(seed).sort_values(["city_code", "year"], ignore_index=True)
    rng = np.random.default_rng(seed)
    frame["x"] = np.exp(rng.normal(size=len(frame)) * 3)
    # cities without a gap, that start late, that stop, and that have no investment at all
    for city, start, stop in (("000001", 2003, 2030), ("000002", 2010, 2030), ("000003", 2000, 2008), ("000004", 0, 0)):
        frame.loc[(frame.city_code == city) & ~frame.year.between(start, stop), "x"] = np.nan
    sql = f"select city_code, year, {macros.perpetual_inventory('x', 2006)} as capital from frame"
    found = frame.merge(evaluate(sql, frame), on=["city_code", "year"], how="left").capital
    expected = indices.perpetual_inventory(frame, "x", unit="city_code", time="year", start=2006)
    assert expected.notna().any()
    np.testing.assert_allclose(found, expected, rtol=1e-12, equal_nan=True)


def test_comparative_advantage_in_sql_is_the_one_in_python():
    rng = np.random.default_rng(0)
    columns = ["cases", "gdp", "national_cases", "national_gdp"]
    frame = pd.DataFrame(np.exp(rng.normal(size=(500, 4)) * 3), columns=columns)
    for column in columns:
        frame.loc[rng.random(500) < 0.1, column] = np.nan
        frame.loc[rng.random(500) < 0.1, column] = 0
    formula = parse(f"revealed_comparative_advantage({', '.join(columns)})")
    sql = f"select {formula.sql()} as index from frame"
    expected = indices.revealed_comparative_advantage(
        frame, "cases", "gdp", national_cases="national_cases", national_gdp="national_gdp"
    )
    assert expected.notna().any()
    np.testing.assert_allclose(evaluate(sql, frame)["index"], expected, rtol=1e-12, equal_nan=True)


@pytest.mark.parametrize("seed", range(4))
def test_the_entropy_index_in_sql_is_the_one_in_python(macros, seed):
    rng = np.random.default_rng(seed)
    columns = [*"abc", "the same"]
    frame = pd.DataFrame(np.exp(rng.normal(size=(300, 3)) * [0.3, 1, 3]), columns=columns[:3])
    frame["the same"] = 7.0
    frame = frame.mask(rng.random(frame.shape) < 0.1)
    weights = macros.entropy_weights("frame", columns)
    index = macros.entropy_index(columns, "weights")
    found = evaluate(f"select {index} as index from frame cross join ({weights}) as weights", frame)["index"]
    np.testing.assert_allclose(found, indices.entropy_index(frame, columns), rtol=1e-12, equal_nan=True)
    made = evaluate(weights, frame).iloc[0]
    expected = indices.entropy_weights(frame, columns)
    np.testing.assert_allclose([made[f"{name}__weight"] for name in columns], expected, rtol=1e-12)
    again = evaluate(weights, frame.sample(frac=1, random_state=seed)).iloc[0]
    assert made.equals(again), "the order of the rows must change nothing"


def test_the_entropy_index_of_what_does_not_vary_is_missing(macros):
    frame = pd.DataFrame({"a": [1.0, 1.0, 1.0], "b": [2.0, 2.0, np.nan]})
    weights = macros.entropy_weights("frame", ["a", "b"])
    sql = f"select {macros.entropy_index(['a', 'b'], 'w')} as index from frame cross join ({weights}) as w"
    assert evaluate(sql, frame)["index"].isna().all()


@pytest.fixture(scope="module")
def panels(without_files):
    """Random city-years and scores in the place of real ones, and every panel that dbt makes of them."""
    built, _ = without_files
    cities = built.query("select city_code from raw.cities").city_code
    frame = pd.MultiIndex.from_product([cities, range(2000, 2024)], names=["city_code", "year"]).to_frame(index=False)
    rng = np.random.default_rng(1)
    for column in spec.known().columns:
        frame[column] = np.exp(rng.normal(size=len(frame))) - 0.1
        frame.loc[rng.random(len(frame)) < 0.2, column] = np.nan
    for flag in BORDERS:
        frame[flag] = rng.random(len(frame)) < 0.1
    for index, parts in ENTROPY.items():
        frame[index] = frame[index].fillna(0).where(frame[list(parts)].notna().all(axis=1))
    built.write("panels.city_year", frame)
    # one study forbids long gaps, which none of the built-in ones does
    studies = [limited(spec.load(path)) for path in spec.catalogue().values()]
    built.write("raw.study_variables", spec.variables_table(studies))
    built.write("raw.studies", spec.studies_table(studies))
    lists = built.query("select * from raw.policies order by policy, city_code, scope")
    rows = range(len(lists))
    lists["month"] = [("3", "9", None)[at % 3] for at in rows]
    lists["until"] = [("2015", None, None, None)[at % 4] for at in rows]
    lists["dose"] = [str(at % 5 / 4) for at in rows]
    built.write("raw.policies", lists)
    models.write(built.paths, catalogue.load(), studies)
    wanted = {name: (study, years) for study in studies for name, years in panels_of(study).items()}
    scores = pd.concat(
        [
            frame[["city_code", "year"]].assign(
                study=name, name=made.name, frontier=frontier, score=rng.random(len(frame))
            )
            for name, (study, _) in wanted.items()
            for made in study.efficiency
            for frontier in ("contemporaneous", "global")
        ]
    )
    built.write("scores.efficiency", scores)
    built.dbt("run", "--select", *wanted)
    return built, frame, scores, wanted


def limited(study: spec.Study) -> spec.Study:
    """The study of low-carbon cities with gaps of at most one year filled, and more variables."""
    if study.name != "low_carbon_cities":
        return study
    first = study.variables[0]
    plain = replace(first, interpolate="none", scale="none", winsorize=None)
    filled = replace(plain, interpolate="linear", max_gap=None)
    made = {"uses": ("gdp_10k_yuan", "population_resident_10k"), "formula": "gdp_10k_yuan / population_resident_10k"}
    more = (
        replace(filled, name="every", source="every", **made, scale="log1p", change="difference", lag=1),
        replace(plain, name="rising", source="rising", formula="growth(energy_use_tce)", uses=("energy_use_tce",)),
        replace(filled, name="grown", source="fdi_share", change="growth", lag=2, winsorize=(0.05, 0.95)),
        replace(filled, name="arc", source="trade_share", scale="asinh", winsorize=(0.1, 0.9), standardise=True),
        replace(filled, name="index", source="index", formula="entropy_index(urban_share, fdi_share)", uses=OWN_INDEX),
    )
    codes = tuple(code for code in spec.known().roster if code < "400000")
    study = replace(study, cities="", city_codes=codes, last_month=6, intensity="dose")
    return replace(study, variables=(*(replace(each, max_gap=1) for each in study.variables), *more))


#: Columns of the entropy index that the study of low-carbon cities makes itself here.
OWN_INDEX = ("urban_share", "fdi_share")
#: Formulas of the study of low-carbon cities here, as pandas computes them over all years.
FORMULAS = {
    "every": lambda frame: frame.gdp_10k_yuan / frame.population_resident_10k,
    "rising": lambda frame: frame.energy_use_tce / frame.groupby("city_code").energy_use_tce.shift() - 1,
}
SCALES = {"none": lambda x: x, "log": lambda x: np.log(x.where(x > 0)), "log1p": np.log1p, "asinh": np.arcsinh}


def panels_of(study: spec.Study) -> dict[str, tuple[int, int]]:
    return {study.name: study.years, **study.other_panels}


def entries(built, study: spec.Study, policy: str, scopes: tuple[str, ...]) -> pd.DataFrame:
    """Entries of a list that count, with first and last treated year: the next one for approvals late in a year."""
    pilots = built.query(f"select * from raw.policies where policy = '{policy}'")
    late = pilots.month.astype(float) > study.last_month
    pilots = pilots.assign(year=pilots.adoption.astype(float) + late, last=pilots.until.astype(float).fillna(9999))
    return pilots[pilots.scope.isin(scopes) | (not scopes)]


def in_force(rows: pd.DataFrame, pilots: pd.DataFrame, weight: pd.Series) -> np.ndarray:
    """For each city and year the sum of a weight over the entries that are in force."""
    both = rows.reset_index().merge(pilots.assign(weight=weight), on="city_code", suffixes=("", " of entry"))
    both = both[both["year"].between(both["year of entry"], both["last"])]
    return both.groupby("index").weight.sum().reindex(rows.index, fill_value=0.0).to_numpy()


def expected_panel(
    built, frame: pd.DataFrame, scores: pd.DataFrame, name: str, study: spec.Study, years
) -> pd.DataFrame:
    """A panel by analysis.indices: cities and years, then interpolated, logged, winsorised."""
    cities = built.query("select * from raw.cities")
    cities = cities.loc[study.takes(cities), "city_code"]
    panel = frame[frame.city_code.isin(cities) & frame.year.between(*years)].sort_values(["city_code", "year"])
    for made in study.efficiency:
        for frontier in ("contemporaneous", "global"):
            own = made.name if frontier == made.frontier else f"{made.name}_{frontier}"
            mine = scores[(scores.study == name) & (scores.name == made.name) & (scores.frontier == frontier)]
            panel = panel.drop(columns=own, errors="ignore").merge(
                mine[["city_code", "year", "score"]].rename(columns={"score": own}), on=["city_code", "year"]
            )
    expected = panel[["city_code", "year"]].reset_index(drop=True)
    own = entries(built, study, study.policy, study.policy_scope)
    expected["adoption"] = expected.city_code.map(own.groupby("city_code").year.min())
    keys = expected[["city_code", "year"]]
    if study.intensity:
        expected[study.treatment] = in_force(keys, own, own[study.intensity].astype(float))
    else:
        expected[study.treatment] = (in_force(keys, own, pd.Series(1.0, own.index)) > 0).astype(int)
    for other in study.policies:
        others = entries(built, study, other.policy, other.scope)
        expected[other.name] = (in_force(keys, others, pd.Series(1.0, others.index)) > 0).astype(int)
    for flag in BORDERS:
        expected[flag] = panel[flag].to_numpy()
    for variable in study.variables:
        if variable.name in FORMULAS:
            whole = frame.sort_values(["city_code", "year"])
            drawn = FORMULAS[variable.name](whole).reindex(panel.index)
        else:
            drawn = panel.get(variable.source)
        values = expected[["city_code", "year"]].assign(v=None if drawn is None else drawn.to_numpy())
        if variable.source in ENTROPY or variable.source == "index":
            values = values[["city_code", "year"]].join(rebuilt_index(panel, variable))
        elif variable.interpolate != "none":
            values = values[["city_code", "year"]].join(
                indices.interpolate(
                    *(values, "v"),
                    unit="city_code",
                    time="year",
                    method=variable.interpolate,
                    max_gap=variable.max_gap,
                )
            )
        values["v"] = SCALES[variable.scale](values["v"])
        city = values.groupby("city_code")
        if variable.change != "none":
            before = city["v"].shift()
            values["v"] = values["v"] - before if variable.change == "difference" else values["v"] / before - 1
            values["v__imputed"] |= city["v__imputed"].shift(fill_value=False)
        if variable.lag:
            for column in ("v", "v__imputed"):
                values[column] = city[column].shift(variable.lag, fill_value=np.nan if column == "v" else False)
        if variable.winsorize:
            low, high = (share * 100 for share in variable.winsorize)
            values = indices.winsorize(values, "v", low=low, high=high)
        if variable.standardise:
            values["v"] = (values["v"] - values["v"].mean()) / values["v"].std()
        expected[variable.name] = values["v"]
        if variable.interpolate != "none":
            expected[f"{variable.name}__imputed"] = values["v__imputed"] & values["v"].notna()
    return expected


def rebuilt_index(panel: pd.DataFrame, variable) -> pd.DataFrame:
    """An entropy index over the panel's own rows, its parts interpolated; imputed where a part was."""
    parts = ENTROPY.get(variable.source) or list(OWN_INDEX)
    panel = panel.reset_index(drop=True)
    filled = indices.interpolate(panel, parts, unit="city_code", time="year", method=variable.interpolate)
    index = indices.entropy_index(filled, parts)
    gaps = panel[variable.source] if variable.source in ENTROPY else panel[parts].sum(axis=1, skipna=False)
    return pd.DataFrame({"v": index, "v__imputed": gaps.isna()})


def test_every_panel_is_what_the_yaml_of_its_study_says(panels):
    built, frame, scores, wanted = panels
    assert any(variable.winsorize for study, _ in wanted.values() for variable in study.variables)
    assert any(study.efficiency for study, _ in wanted.values())
    assert any(v.max_gap and v.interpolate != "none" for study, _ in wanted.values() for v in study.variables)
    for name, (study, years) in wanted.items():
        found = built.query(f"select * from panels.{name} order by city_code, year")
        expected = expected_panel(built, frame, scores, name, study, years)
        assert list(found.columns) == list(expected.columns), name
        assert found.city_code.tolist() == expected.city_code.tolist()
        for column in expected.columns[1:]:
            np.testing.assert_allclose(
                found[column].astype(float),
                expected[column].astype(float),
                rtol=1e-12,
                atol=1e-13,
                equal_nan=True,
                err_msg=f"{name}.{column}",
            )


def test_a_study_that_no_yaml_describes_is_refused_by_name(panels):
    built, *_, wanted = panels
    name = next(iter(wanted))
    built.write("raw.studies", built.query(f"select * from raw.studies where study != '{name}'"))
    said = built.dbt("run", "--select", name, succeeds=False)
    assert f"analysis/studies has no {name}.yaml" in said
