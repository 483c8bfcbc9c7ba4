"""Run a suite over a data frame, keep the result for Data Docs, and say what failed on which rows.

Knows Great Expectations; the suites themselves stand in one module per layer.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

if TYPE_CHECKING:
    from great_expectations.expectations import Expectation

#: Failing rows quoted with each outcome.
QUOTED = 20
#: Results of a suite that Data Docs show, the latest among them, so that its history can be seen.
KEPT = 5
#: The site of Data Docs, as a new store names it.
SITE = "local_site"


@dataclass(frozen=True)
class Rule:
    """One expectation and what it means for the run.

    Attributes
    ----------
    name
        What must hold, in a few words; unique in its suite.
    expectation
        As Great Expectations states it.
    blocking
        Whether a failure stops the publication; otherwise it warns.
    advice
        What to do when it fails, in a sentence.
    columns
        Columns quoted with a failing row besides the keys and the column that was checked.
    """

    name: str
    expectation: Expectation
    blocking: bool = True
    advice: str = ""
    columns: tuple[str, ...] = ()


@dataclass(frozen=True)
class Outcome:
    """What one rule found.

    Attributes
    ----------
    failing : up to QUOTED rows of the frame (keys, the column, what the rule quotes), none when it holds.
    positions : every failing row of the frame, where the rule is about rows.
    """

    rule: str
    blocking: bool
    passed: bool
    observed: str
    failing: pd.DataFrame
    advice: str = ""
    positions: tuple[int, ...] = ()


def validate(
    name: str,
    frame: pd.DataFrame,
    rules: Sequence[Rule],
    *,
    keys: Sequence[str] = (),
    store: Path,
    about: str = "",
    afresh: bool = False,
) -> list[Outcome]:
    """Check ``frame`` against ``rules``; suite and last results are kept in ``store`` under ``name`` for Data Docs.

    ``about`` says in a sentence what a row of the frame is and where it comes from. Rows that held against the same
    rules the last time hold, and are not checked again unless ``afresh``; what failed is.
    """
    checked = _checked(frame, rules, [name, about, *keys])
    if not afresh and (held := _held(store, name, checked, frame, rules)):
        return held
    context = _context(store)
    _prune(_uncommitted(store) / "validations" / Path(*name.split(".")))
    import great_expectations as gx

    expectations = []
    for rule in rules:
        expectation = rule.expectation.copy(
            update={
                "meta": {"rule": rule.name},
                "severity": "critical" if rule.blocking else "warning",
                "description": f"{rule.name} ({'blocks' if rule.blocking else 'warns'}). {rule.advice}".strip(),
            }
        )
        expectations.append(expectation)
    suite = context.suites.add_or_update(gx.ExpectationSuite(name=name, expectations=expectations))
    source = context.data_sources.add_or_update_pandas(name="frames")
    try:
        asset = source.get_asset(name)
    except LookupError:
        asset = source.add_dataframe_asset(name=name)
    try:
        batch = asset.get_batch_definition("whole")
    except KeyError:
        batch = asset.add_batch_definition_whole_dataframe("whole")
    definition = context.validation_definitions.add_or_update(
        gx.ValidationDefinition(name=name, data=batch, suite=suite)
    )
    result = definition.run(
        batch_parameters={"dataframe": frame.reset_index(drop=True)},
        result_format={"result_format": "COMPLETE", "partial_unexpected_count": QUOTED},
    )
    found = {entry.expectation_config.meta["rule"]: entry for entry in result.results}
    outcomes = [_outcome(rule, found[rule.name], frame.reset_index(drop=True), list(keys)) for rule in rules]
    _keep(store, name, about, len(frame), outcomes, checked)
    return outcomes


def _checked(frame: pd.DataFrame, rules: Sequence[Rule], said: Sequence[str]) -> str:
    """A hash of everything that decides an outcome: rows in their order, rules, and what applies them."""
    import great_expectations as gx

    total = hashlib.sha256(Path(__file__).read_bytes())
    known = [(rule.name, rule.blocking, rule.advice, rule.columns, rule.expectation.json()) for rule in rules]
    columns = [(str(column), str(kind)) for column, kind in frame.dtypes.items()]
    total.update(repr([gx.__version__, pd.__version__, list(said), known, columns]).encode())
    total.update(pd.util.hash_pandas_object(frame, index=False).to_numpy().tobytes())
    return total.hexdigest()


def _held(store: Path, name: str, checked: str, frame: pd.DataFrame, rules: Sequence[Rule]) -> list[Outcome] | None:
    """The last outcome of a suite, if that was of the same rows and rules and all of it held."""
    try:
        last = json.loads((store / "outcomes" / f"{name}.json").read_text(encoding="utf-8"))
        observed = {rule["rule"]: rule["observed"] for rule in last["rules"] if rule["passed"] is True}
        same = last["checked"] == checked
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if not same or set(observed) != {rule.name for rule in rules}:
        return None
    none = frame.head(0)
    return [Outcome(rule.name, rule.blocking, True, observed[rule.name], none, rule.advice) for rule in rules]


def kept(store: Path) -> list[dict[str, Any]]:
    """The latest outcome of every suite by name: ``name``, ``about``, ``rows``, and ``rules``.

    A rule has ``rule``, ``blocking``, ``passed``, ``observed``, ``advice``, ``broken`` (rows) and ``failing``, the rows
    that are quoted: ``columns`` and ``data``.
    """
    files = sorted((store / "outcomes").glob("*.json"))
    return [json.loads(path.read_text(encoding="utf-8")) for path in files]


def forget(name: str, store: Path) -> None:
    """Take a suite's latest outcome out of ``store``, for example because it can no longer be checked."""
    (store / "outcomes" / f"{name}.json").unlink(missing_ok=True)


def _keep(store: Path, name: str, about: str, rows: int, outcomes: Sequence[Outcome], checked: str) -> None:
    rules = [
        {
            **{key: getattr(outcome, key) for key in ("rule", "blocking", "passed", "observed", "advice")},
            "broken": len(outcome.positions),
            "failing": json.loads(outcome.failing.to_json(orient="split", index=False, date_format="iso")),
        }
        for outcome in outcomes
    ]
    target = store / "outcomes" / f"{name}.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(
        json.dumps(
            {"name": name, "about": about, "rows": rows, "rules": rules, "checked": checked}, ensure_ascii=False
        ),
        encoding="utf-8",
    )


def build_data_docs(store: Path, output: Path, notice: str = "", report: str = "", refreshed: str = "") -> Path:
    """Write Data Docs of every kept result to ``output``; they open offline as they do online. Returns the index page.

    A ``notice`` stands on top of every page, for example that the data are no real ones; ``report`` is the page, as
    seen from ``output``, that every page leads back to; ``refreshed`` says when the data were.
    """
    from expectations import data_docs

    context = _context(store)
    shutil.rmtree(_uncommitted(store) / "data_docs", ignore_errors=True)
    site = data_docs.configured(
        context.variables.data_docs_sites[SITE], notice=notice, report=report, refreshed=refreshed
    )
    context.variables.data_docs_sites = {SITE: site}
    built = context.build_data_docs()
    index = Path(next(iter(built.values())).removeprefix("file://"))
    shutil.rmtree(output, ignore_errors=True)
    shutil.copytree(index.parent, output)
    data_docs.furnish(output)
    return output / "index.html"


def _prune(results: Path) -> None:
    """Leave room for one more result of a suite: a folder a run, by its time."""
    runs = sorted(results.glob("*/*"), key=lambda folder: folder.name)
    for run in runs[: max(0, len(runs) - KEPT + 1)]:
        shutil.rmtree(run)


def _uncommitted(store: Path) -> Path:
    """What Great Expectations adds to at every run and never prunes."""
    return store / "gx" / "uncommitted"


def _context(store: Path) -> Any:
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    logging.getLogger("great_expectations").setLevel(logging.ERROR)
    import great_expectations as gx

    store.mkdir(parents=True, exist_ok=True)
    context = gx.get_context(mode="file", project_root_dir=store)
    context.variables.progress_bars = {"globally": False, "metric_calculations": False}  # type: ignore[assignment]
    return context


def _outcome(rule: Rule, entry: Any, frame: pd.DataFrame, keys: list[str]) -> Outcome:
    result = entry.result or {}
    rows = [index for index in result.get("unexpected_index_list") or [] if isinstance(index, int)]
    column = getattr(rule.expectation, "column", None)
    wanted = dict.fromkeys([*keys, *([column] if column else []), *rule.columns])
    columns = [name for name in wanted if name in frame.columns]
    observed = result.get("observed_value")
    if observed is None and result.get("unexpected_count") is not None:
        observed = f"{result['unexpected_count']} of {result.get('element_count', len(frame))} rows"
    raised = _exception(entry.exception_info or {})
    if raised:
        observed = raised
    passed = bool(entry.success)
    quoted = frame.loc[[] if passed else rows[:QUOTED], columns]
    return Outcome(rule.name, rule.blocking, passed, str(observed), quoted, rule.advice, tuple(rows))


def _exception(info: Mapping[str, Any]) -> str | None:
    """Why a rule could not be checked; Great Expectations keeps that flat or under the name of each metric."""
    for found in (info, *(value for value in info.values() if isinstance(value, Mapping))):
        if found.get("raised_exception"):
            return " ".join(str(found.get("exception_message")).split())
    return None
