"""What a run has found, in a few lines at its end: files, what was set aside, estimates, and what to open next."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from dagster_project.paths import Paths, shown

#: Rules that are named one by one; the rest are counted together.
NAMED = 4


def lines(paths: Paths, warnings: int) -> list[tuple[str, str]]:
    """Sentences on the current publication, each with its style; ``warnings`` are checks that do not hold."""
    data = paths.published / "data"
    said = [
        ("  files       ", _files(data)),
        ("  set aside   ", _set_aside(data)),
        ("  estimates   ", _estimates(data)),
        ("  warnings    ", f"{warnings} checks hold only in part, listed above" if warnings else "none"),
    ]
    written = [(f"{name}{text}", "warning" if name.strip() == "warnings" and warnings else "") for name, text in said]
    sample = [("  SAMPLE DATA: made by simulation; no number says anything about a real city.", "warning")]
    following = [
        ("Next: ", f"open {shown(paths.reports / 'index.html')} in a browser"),
        ("      ", "make sql      query the tables (.tables lists them)"),
        ("      ", "make ui       assets, runs and checks in Dagster"),
    ]
    return [
        *[line for line, (_, text) in zip(written, said, strict=True) if text],
        *(sample if _is_sample(data) else []),
        *[(f"{head}{text}", "") for head, text in following],
    ]


def _is_sample(data: Path) -> bool:
    """Whether any number is made from the sample world; a panel from a file never is."""
    table = _table(data / "estimates" / "estimates.parquet")
    return "is_sample" in table and bool(table["is_sample"].any())


def _files(data: Path) -> str:
    table = _table(data / "quality" / "files.parquet")
    if table.empty:
        return ""
    return f"{len(table):,} read, of {table['source'].nunique()} sources"


def _set_aside(data: Path) -> str:
    table = _table(data / "quality" / "rejects.parquet")
    if "rule" not in table:
        return ""
    if table.empty:
        return "nothing"
    counts = table["rule"].value_counts()
    named = [f"{count:,} {rule}" for rule, count in counts.head(NAMED).items()]
    others = counts.iloc[NAMED:]
    rest = [f"{others.sum():,} by {len(others)} other rules"] if len(others) else []
    return f"{len(table):,} cells and records: {', '.join([*named, *rest])} (each in quality.rejects)"


def _estimates(data: Path) -> str:
    table = _table(data / "estimates" / "estimates.parquet")
    if "status" not in table:
        return ""
    without = int((table["status"] != "ok").sum())
    exhibits = len(table[["study", "exhibit"]].drop_duplicates())
    rest = f"; {without:,} have none, and say why" if without else ""
    return f"{len(table) - without:,} in {exhibits} tables and figures of {table['study'].nunique()} studies{rest}"


def _table(path: Path) -> pd.DataFrame:
    return pd.read_parquet(path) if path.exists() else pd.DataFrame()
