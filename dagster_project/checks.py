"""Expectations as asset checks: which frame is checked by which suite, and where its outcome shows.

No rule stands here (they are in `expectations`) and no SQL (the frames' queries are in dbt/checks).
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import dagster as dg
import pandas as pd

from dagster_project import state, verification
from dagster_project.ingest.contracts import Contract
from dagster_project.paths import DBT_PROJECT, Paths
from dagster_project.resources import WAREHOUSE_POOL, forced, warehouse

if TYPE_CHECKING:
    import duckdb

    from expectations.runner import Outcome, Rule

QUERIES = DBT_PROJECT / "checks"
#: The check of what has moved.
MOVED = "as_last_published"
#: Name of a check -> whether it blocks, and what it says.
NAMES = {
    "must_hold": (True, "Rules that must hold for anything to be published."),
    "should_hold": (False, "Rules that deserve a look and stop nothing."),
    MOVED: (False, "What has moved since the last publication."),
}
#: Rows of a failing rule in a check's metadata.
SHOWN = 20


@dataclass(frozen=True)
class Suite:
    """A frame and its rules.

    Attributes
    ----------
    name : layer and frame, as the Data Docs call it.
    about : what a row is, in a sentence.
    keys : columns that are quoted with a failing row.
    frame : the frame, from an open warehouse; None and a sentence where there is nothing to check.
    rules : the rules, given the frame.
    split_by : column that says which of several assets a row belongs to.
    """

    name: str
    about: str
    keys: tuple[str, ...]
    frame: "Callable[[duckdb.DuckDBPyConnection], pd.DataFrame | str]"
    rules: "Callable[[pd.DataFrame], list[Rule]]"
    split_by: str | None = None


@dataclass(frozen=True)
class Checked:
    """A suite's frame and outcomes, or why there are none."""

    suite: Suite
    frame: pd.DataFrame
    outcomes: "tuple[Outcome, ...]"
    skipped: str = ""


def layer_checks(paths: Paths, found: Mapping[str, Contract]) -> list[dg.AssetChecksDefinition]:
    """Checks on the raw, staging and intermediate assets; those on panels stand with the panels."""
    sources = {contract.source: dg.AssetKey(["raw", contract.source]) for contract in found.values()}
    yearbooks = {"": dg.AssetKey(["staging", "stg_yearbook"])}
    records = {"patents": dg.AssetKey(["staging", "stg_patents"]), "court cases": dg.AssetKey(["staging", "stg_cases"])}
    wide = {"": dg.AssetKey(["intermediate", "int_city_wide"])}
    named = dg.AssetKey(["raw", "contract_columns"])
    return [
        definition(paths, "raw", sources, _raw_suites(paths), deps=[named]),
        definition(paths, "staging_yearbooks", yearbooks, _staging_suites()),
        definition(paths, "staging_records", records, [_records_suite()]),
        definition(paths, "intermediate", wide, _intermediate_suites()),
    ]


def definition(
    paths: Paths,
    name: str,
    assets: Mapping[str, dg.AssetKey],
    suites: Sequence[Suite],
    *,
    drift: Sequence[Suite] = (),
    deps: Sequence[dg.AssetKey] = (),
) -> dg.AssetChecksDefinition:
    """One step that checks ``suites`` and reports a blocking and a warning check on each asset.

    ``assets`` are named by the values of the suites' ``split_by`` column; suites of ``drift`` make a check of their
    own.
    """
    kinds = [kind for kind in NAMES if kind != MOVED or drift]
    specs = [
        dg.AssetCheckSpec(kind, asset=key, blocking=NAMES[kind][0], description=NAMES[kind][1], additional_deps=deps)
        for key in assets.values()
        for kind in kinds
    ]

    # a run of one source alone takes that source's checks with it
    @dg.multi_asset_check(name=f"expectations_{name}", specs=specs, pool=WAREHOUSE_POOL, can_subset=True)
    def check(context: dg.AssetCheckExecutionContext) -> Iterator[dg.AssetCheckResult]:
        with warehouse(paths) as connection:
            frames = [(suite, suite.frame(connection)) for suite in (*suites, *drift)]
        afresh = forced()
        checked = [_validate(paths, suite, frame, afresh) for suite, frame in frames]
        moved = checked[len(suites) :]
        for label, key in assets.items():
            for kind in kinds:
                if dg.AssetCheckKey(key, kind) not in context.selected_asset_check_keys:
                    continue
                mine = moved if kind == MOVED else checked[: len(suites)]
                yield _result(key, kind, [_of_asset(one, label) for one in mine])

    return check


def query(name: str) -> "Callable[[duckdb.DuckDBPyConnection], pd.DataFrame]":
    """The frame of a query in dbt/checks."""
    return lambda connection: connection.execute((QUERIES / f"{name}.sql").read_text(encoding="utf-8")).df()


def last_published(paths: Paths, schema: str, table: str) -> pd.DataFrame | str:
    """A table of the last publication, or in a sentence why it cannot be compared with."""
    about = state.read_json(paths.published / "publication.json")
    parquet = paths.published / "data" / schema / f"{table}.parquet"
    if not about:
        return "Nothing is published yet, so there is nothing to compare with."
    if bool(about.get("is_sample")) != paths.is_sample:
        return "The last publication is of sample data and this run is not, or the other way round: not compared."
    if not parquet.exists():
        return f"The last publication has no {schema}.{table}, so there is nothing to compare with."
    wrong = verification.distrust(paths.published, f"data/{schema}/{table}.parquet")
    if wrong:
        return f"The last publication is damaged, so nothing is compared with it: {wrong}"
    return pd.read_parquet(parquet)


def drift_suite(
    paths: Paths,
    table: str,
    keys: tuple[str, ...],
    now: "Callable[[duckdb.DuckDBPyConnection], pd.DataFrame] | None" = None,
) -> Suite:
    """A panel, by default of the warehouse, against the same panel of the last publication."""

    def frame(connection: "duckdb.DuckDBPyConnection") -> pd.DataFrame | str:
        from expectations import drift

        last = last_published(paths, "panels", table)
        if isinstance(last, str):
            return last
        own = now(connection) if now else connection.execute(f"select * from panels.{table}").df()
        compared = drift.compare(own, last, keys)
        if not drift.moved(compared):
            return f"Nothing in panels.{table} has moved since the last publication."
        return drift.with_times(compared)

    def rules(frame: pd.DataFrame) -> "list[Rule]":
        from expectations import drift

        return drift.rules()

    about = f"One row a column of panels.{table}, beside the same column of the last publication."
    return Suite(f"panels.{table}_drift", about, ("column",), frame, rules)


def checks_table(paths: Paths) -> pd.DataFrame:
    """The latest outcome of every rule: ``table`` (its suite), ``rule``, ``holds`` (yes, NO, or no (warning)) and
    ``observed``."""
    from expectations import pages, runner

    layers = list(pages.LAYERS)
    kept = sorted(runner.kept(paths.expectations_store), key=lambda suite: layers.index(suite["name"].split(".")[0]))
    rows = [
        (
            suite["name"],
            rule["rule"],
            "yes" if rule["passed"] else "NO" if rule["blocking"] else "no (warning)",
            rule["observed"],
        )
        for suite in kept
        for rule in suite["rules"]
    ]
    # what needs a reader stands first
    rows.sort(key=lambda row: ("NO", "no (warning)", "yes").index(row[2]))
    return pd.DataFrame(rows, columns=["table", "rule", "holds", "observed"])


def _raw_suites(paths: Paths) -> list[Suite]:
    def by_source(connection: "duckdb.DuckDBPyConnection") -> pd.DataFrame:
        from expectations import raw

        published = last_published(paths, "quality", "files")
        files = query("raw_files")(connection)
        compared = raw.by_source(files, published if isinstance(published, pd.DataFrame) else None)
        # the same files say the same of themselves whatever was published before
        moved = "times_last" not in compared or not compared["times_last"].eq(1).all()
        return compared if moved else raw.by_source(files, None)

    def needed(connection: "duckdb.DuckDBPyConnection") -> pd.DataFrame:
        from expectations import raw

        return raw.needed(query("raw_records")(connection))

    def rules(name: str) -> "Callable[[pd.DataFrame], list[Rule]]":
        def found(frame: pd.DataFrame) -> "list[Rule]":
            from expectations import raw

            if name == "sources":
                return raw.sources(compared="times_last" in frame.columns)
            return {"files": raw.files, "columns": raw.columns, "records": raw.records}[name]()

        return found

    files = "One row a raw file that a contract claims: what was read from it."
    columns = "One row an indicator that the contract of a source with files names: how its files print it."
    records = "One row a file of patents or court cases and column: how many records leave it blank."
    sources = "One row a source, beside what the last publication had of it."
    return [
        Suite("raw.files", files, ("source", "file"), query("raw_files"), rules("files"), "source"),
        Suite("raw.columns", columns, ("source", "indicator"), query("raw_columns"), rules("columns"), "source"),
        Suite("raw.records", records, ("source", "file", "column"), needed, rules("records"), "source"),
        Suite("raw.sources", sources, ("source",), by_source, rules("sources"), "source"),
    ]


def _staging_suites() -> list[Suite]:
    def rules(name: str) -> "Callable[[pd.DataFrame], list[Rule]]":
        def found(frame: pd.DataFrame) -> "list[Rule]":
            from expectations import staging

            return staging.values() if name == "values" else staging.agreement()

        return found

    values = "One row a source, indicator and year, also years without a value between the first and the last."
    agreement = "One row an indicator and year that two sources give for the same cities."
    return [
        Suite("staging.values", values, ("source", "indicator", "year"), query("staging_values"), rules("values")),
        Suite(
            "staging.agreement",
            agreement,
            ("indicator", "trusted", "other", "year"),
            query("staging_agreement"),
            rules("agreement"),
        ),
    ]


def _records_suite() -> Suite:
    def frame(connection: "duckdb.DuckDBPyConnection") -> pd.DataFrame:
        from expectations import staging

        return staging.covered(query("staging_records")(connection))

    def rules(frame: pd.DataFrame) -> "list[Rule]":
        from expectations import staging

        return staging.records()

    about = "One row a year of patents (by filing) or court cases (by conclusion): how many, from how many places."
    return Suite("staging.records", about, ("data", "year"), frame, rules, "data")


def _intermediate_suites() -> list[Suite]:
    def frame(connection: "duckdb.DuckDBPyConnection") -> pd.DataFrame:
        from expectations import intermediate

        return intermediate.with_sums(query("intermediate_city_wide")(connection))

    def wide(frame: pd.DataFrame) -> "list[Rule]":
        from expectations import intermediate

        years = int(frame["year"].min()), int(frame["year"].max())
        return intermediate.city_wide(cities=frame["city_code"].nunique(), years=years)

    def indicators(frame: pd.DataFrame) -> "list[Rule]":
        from expectations import intermediate

        return intermediate.indicators()

    about = "One row an indicator and year of all cities in today's borders, from the most trusted source."
    return [
        Suite(
            "intermediate.city_wide",
            "One row a city of the roster and year: parts beside their wholes.",
            ("city_code", "name_zh", "year"),
            frame,
            wide,
        ),
        Suite("intermediate.indicators", about, ("indicator", "year"), query("intermediate_indicators"), indicators),
    ]


def _validate(paths: Paths, suite: Suite, frame: pd.DataFrame | str, afresh: bool) -> Checked:
    from expectations import runner

    store = paths.expectations_store
    if isinstance(frame, str):
        runner.forget(suite.name, store)
        return Checked(suite, pd.DataFrame(), (), frame)
    outcomes = runner.validate(
        suite.name, frame, suite.rules(frame), keys=suite.keys, store=store, about=suite.about, afresh=afresh
    )
    return Checked(suite, frame, tuple(outcomes))


def _of_asset(checked: Checked, label: str) -> Checked:
    """What of a suite is about one asset: its rows; a rule that fails without naming rows is about every asset."""
    if not label or checked.suite.split_by is None or checked.skipped:
        return checked
    mine = checked.frame[checked.suite.split_by].reset_index(drop=True) == label
    outcomes = []
    for outcome in checked.outcomes:
        positions = tuple(position for position in outcome.positions if mine[position])
        if outcome.passed or (outcome.positions and not positions):
            outcome = replace(outcome, passed=True, failing=outcome.failing.head(0), positions=())
        elif positions:
            shown = outcome.failing.columns
            failing = checked.frame.reset_index(drop=True).loc[list(positions[:SHOWN]), list(shown)]
            observed = f"{len(positions)} of {int(mine.sum())} rows"
            outcome = replace(outcome, failing=failing, positions=positions, observed=observed)
        outcomes.append(outcome)
    return Checked(checked.suite, checked.frame[mine.to_numpy()], tuple(outcomes))


def _result(key: dg.AssetKey, kind: str, checked: Iterable[Checked]) -> dg.AssetCheckResult:
    blocking = NAMES[kind][0]
    checked = list(checked)
    rules = [(one, outcome) for one in checked for outcome in one.outcomes if outcome.blocking is blocking]
    failed = [(one, outcome) for one, outcome in rules if not outcome.passed]
    skipped = " ".join(one.skipped for one in checked if one.skipped)
    said = " ".join(_sentence(outcome) for _, outcome in failed) or skipped
    of_source = [one for one in checked if one.suite.split_by]
    if not said and of_source and not any(len(one.frame) for one in of_source):
        said = "Nothing of this source was found, so there is nothing to check."
    severity = dg.AssetCheckSeverity.ERROR if blocking else dg.AssetCheckSeverity.WARN
    rows = sum(len(one.frame) for one in checked)
    failing = sum(len(outcome.positions) or 1 for _, outcome in failed)
    metadata: dict[str, dg.MetadataValue | int | float] = {
        # numbers, so that the web page draws them over time
        "failing rules": len(failed),
        "failing rows": failing,
        "rows": rows,
        "share failing": failing / rows if rows else 0.0,
        "rules": dg.MetadataValue.md(_rules_table([outcome for _, outcome in rules])),
    }
    for one, outcome in failed:
        metadata[f"{one.suite.name}: {outcome.rule}"] = dg.MetadataValue.md(_failing(outcome))
    return dg.AssetCheckResult(
        asset_key=key,
        check_name=kind,
        passed=not failed,
        severity=severity,
        description=said or None,
        metadata=metadata,
    )


def _sentence(outcome: "Outcome") -> str:
    """What failed, on which row first, and what to do."""
    from expectations import pages

    rows = outcome.failing.head(1).to_dict("records")
    first = ", ".join(f"{column} {pages.text(value)}" for row in rows for column, value in row.items())
    where = f" (first: {first})" if first else ""
    return f"{outcome.rule}: {outcome.observed}{where}. {outcome.advice}".strip()


def _rules_table(outcomes: "Sequence[Outcome]") -> str:
    lines = ["| rule | holds | observed |", "|---|---|---|"]
    return "\n".join([*lines, *(f"| {o.rule} | {'yes' if o.passed else '**no**'} | {o.observed} |" for o in outcomes)])


def _failing(outcome: "Outcome") -> str:
    said = f"{outcome.advice}\n\n" if outcome.advice else ""
    return said + (outcome.failing.to_markdown(index=False) if len(outcome.failing) else outcome.observed)
