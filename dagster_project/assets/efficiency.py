"""Efficiency scores of a study's cities: from panels.city_year, through `analysis`, back into the warehouse."""

import base64
from collections.abc import Sequence
from typing import TYPE_CHECKING

import dagster as dg
import pandas as pd

from dagster_project import overlay
from dagster_project.assets.columns import CITY_YEAR, told
from dagster_project.assets.common import OWNERS
from dagster_project.fingerprint import hash_folder
from dagster_project.paths import ROOT, Paths
from dagster_project.resources import WAREHOUSE_POOL, warehouse

if TYPE_CHECKING:
    import duckdb

    from analysis.studies.records import EfficiencySpecification, Study
    from analysis.studies.scores import StudyScores

GROUP = "scores"
TABLES = """
create schema if not exists scores;
create table if not exists scores.efficiency (
    study varchar, name varchar, frontier varchar, city_code varchar, year integer, score double, sbm double,
    efficient boolean, status varchar, imputed boolean
);
create table if not exists scores.slacks (
    study varchar, name varchar, frontier varchar, city_code varchar, year integer, variable varchar, slack double
);
create table if not exists scores.provenance (
    study varchar, name varchar, frontier varchar, period varchar, sha256 varchar, rows bigint, specification varchar
);
"""


def score_keys(studies: Sequence["Study"]) -> list[dg.AssetKey]:
    """The keys of every score, in the order of the studies."""
    return [dg.AssetKey([GROUP, f"{study.name}__{made.name}"]) for study in studies for made in study.efficiency]


def score_assets(paths: Paths, studies: Sequence["Study"]) -> list[dg.AssetsDefinition]:
    """One asset an efficiency variable of a study, and one that makes the tables they fill."""
    return [_tables(paths), *(_score(paths, study, made) for study in studies for made in study.efficiency)]


def _tables(paths: Paths) -> dg.AssetsDefinition:
    @dg.asset(
        key=[GROUP, "tables"],
        group_name=GROUP,
        kinds={"duckdb"},
        owners=OWNERS,
        pool=WAREHOUSE_POOL,
        description="The tables that scores are written to; there also when no study scores anything.",
    )
    def asset() -> dg.MaterializeResult:
        with warehouse(paths) as connection:
            connection.execute(TABLES)
        return dg.MaterializeResult(metadata={"tables": "scores.efficiency, scores.slacks, scores.provenance"})

    return asset


def _score(paths: Paths, study: "Study", made: "EfficiencySpecification") -> dg.AssetsDefinition:
    @dg.asset(
        key=[GROUP, f"{study.name}__{made.name}"],
        deps=[[GROUP, "tables"], ["panels", "city_year"], ["raw", "cities"]],
        group_name=GROUP,
        kinds={"python", "duckdb"},
        owners=OWNERS,
        pool=WAREHOUSE_POOL,
        description=(
            f"{made.label.en} ({made.label.zh}): super-efficiency SBM with bad outputs, returns {made.returns}, "
            f"frontier {made.frontier}, the other frontier beside it. Inputs {', '.join(made.inputs)}; outputs "
            f"{', '.join(made.outputs)}; bad outputs {', '.join(made.bad_outputs)}."
        ),
    )
    def asset() -> dg.MaterializeResult:
        from analysis.studies import scores

        code = hash_folder(ROOT / "analysis" / "efficiency")
        cities = overlay.cities(paths, dtype={"city_code": str})
        sample = cities.loc[study.takes(cities), "city_code"]
        metadata = {}
        with warehouse(paths) as connection:
            connection.execute(TABLES)
            city_year = connection.execute("select * from panels.city_year order by city_code, year").df()
            units = city_year[city_year["city_code"].isin(sample)]
            for panel, years in {study.name: study.years, **study.other_panels}.items():
                frame = units[units["year"].between(*years)]
                result = scores.score(
                    study, made, frame, code=code, earlier=_stored(connection, panel, made.name), panel=panel
                )
                _store(connection, panel, made.name, result)
                if panel == study.name:
                    metadata = _metadata(made, frame, result, cities)
        return dg.MaterializeResult(metadata=metadata)

    return asset


def _stored(connection: "duckdb.DuckDBPyConnection", panel: str, name: str) -> dict[str, pd.DataFrame]:
    tables = ("efficiency", "slacks", "provenance")
    stored = {
        table: connection.execute(f"select * from scores.{table} where study = ? and name = ?", [panel, name]).df()
        for table in tables
    }
    return {"scores": stored["efficiency"], "slacks": stored["slacks"], "provenance": stored["provenance"]}


def _store(connection: "duckdb.DuckDBPyConnection", panel: str, name: str, result: "StudyScores") -> None:
    connection.execute("begin")
    for table, frame in (
        ("efficiency", result.scores),
        ("slacks", result.slacks),
        ("provenance", result.provenance),
    ):
        connection.execute(f"delete from scores.{table} where study = ? and name = ?", [panel, name])
        connection.register("loading", frame)
        connection.execute(f"insert into scores.{table} by name select * from loading")
        connection.unregister("loading")
    connection.execute("commit")


def _metadata(
    made: "EfficiencySpecification", frame: pd.DataFrame, result: "StudyScores", cities: pd.DataFrame
) -> dict[str, dg.MetadataValue | int | str]:
    """What a person looks at first: scores by year, who is efficient, where the slack lies, a map."""
    own = result.scores[result.scores["frontier"] == made.frontier]
    scored = own[own["score"].notna()]
    found: dict[str, dg.MetadataValue | int | str] = {
        "dagster/row_count": len(own),
        **told(
            "scores.efficiency",
            [(str(column), str(kind)) for column, kind in own.dtypes.items()],
            {name: [dg.TableColumnDep(CITY_YEAR, used) for used in made.variables] for name in ("score", "sbm")},
        ),
        "scored": len(scored),
        "periods computed": len(result.computed),
        "without score": dg.MetadataValue.md(
            own.loc[own["score"].isna(), "status"].value_counts().rename("rows").reset_index().to_markdown(index=False)
        ),
    }
    if not len(scored):
        return found
    by_year = scored.groupby("year").agg(
        cities=("score", "size"),
        mean=("score", "mean"),
        sd=("score", "std"),
        minimum=("score", "min"),
        maximum=("score", "max"),
        efficient=("efficient", "sum"),
    )
    other = result.scores[result.scores["frontier"] != made.frontier].groupby("year")["score"].mean()
    last = int(scored["year"].max())
    latest = scored[scored["year"] == last].set_index("city_code")
    names = cities.set_index("city_code")["name_en"]
    best = latest[latest["efficient"].astype(bool)].sort_values("score", ascending=False)
    slack = result.slacks[(result.slacks["frontier"] == made.frontier) & (result.slacks["year"] == last)]
    level = frame.loc[frame["year"] == last, list(made.variables)].sum()
    share = (slack.groupby("variable")["slack"].sum() / level).dropna().sort_values(ascending=False)
    from analysis.printing import maps

    drawn = maps.draw(latest["score"], title=f"{made.label.en}, {last}")
    found |= {
        "by year": dg.MetadataValue.md(by_year.assign(other_frontier=other).round(3).to_markdown()),
        f"efficient cities {last}": dg.MetadataValue.md(
            ", ".join(f"{names.get(code, code)} {value:.2f}" for code, value in best["score"].items()) or "none"
        ),
        f"slack as a share of the total {last}": dg.MetadataValue.md(share.rename("share").round(3).to_markdown()),
        "map": dg.MetadataValue.md(f"![map](data:image/png;base64,{base64.b64encode(drawn['png']).decode()})"),
    }
    return found
