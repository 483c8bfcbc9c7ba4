"""Publications as `analysis.comparison` reads them: where their tables lie, and what of a comparison is kept."""

from __future__ import annotations

import json
import shutil
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from dagster_project import history, state, verification
from dagster_project.paths import REFERENCE, Paths

if TYPE_CHECKING:
    from analysis.comparison import Comparison, Snapshot
    from analysis.reporting.changes_page import ChangesReport
    from analysis.studies.records import Study

#: What says of a rule that it compares with the publication before, and so is no property of this one.
OF_HISTORY = "last publication"
FINDING = ("study", "severity", "code", "exhibit", "model", "variable", "title", "title_zh", "evidence")


def outcomes(store: Path) -> list[list[Any]]:
    """Layer, table, rule, whether it blocks, whether it holds, failing rows and rows, of every rule at its last check.

    Rules that compare with the publication before are left out: `pilotcity diff` and the page say what has moved.
    """
    from expectations import runner

    return [
        [
            suite["name"].split(".")[0],
            suite["name"].partition(".")[2],
            rule["rule"],
            bool(rule["blocking"]),
            bool(rule["passed"]),
            # a rule about the whole table fails without naming a row
            0 if rule["passed"] else max(1, int(rule["broken"])),
            int(suite["rows"]),
        ]
        for suite in sorted(runner.kept(store), key=lambda suite: str(suite["name"]))
        if not suite["name"].endswith("_drift")
        for rule in suite["rules"]
        if OF_HISTORY not in rule["rule"]
    ]


def snapshot(folder: Path, checks: Sequence[Sequence[Any]]) -> Snapshot:
    """A publication or candidate; ``checks`` as `outcomes` returns them."""
    from analysis.comparison import Snapshot

    about = json.loads((folder / "publication.json").read_text())
    columns = list(history.CHECKS[1:])
    table = pd.DataFrame([list(row) for row in checks], columns=columns)
    layer = table["layer"].astype(str) + "." + table["table_name"].astype(str)
    return Snapshot(
        version=str(about["version"]),
        is_sample=bool(about["is_sample"]),
        read=lambda name, files: _read(folder / "data", name, files),
        findings=_findings(folder),
        checks=table.assign(layer=layer).drop(columns="table_name"),
    )


def checks_of(folder: Path) -> list[list[Any]]:
    """The checks that a publication has published of itself; none where it is older than they are."""
    path = folder / "data" / "quality" / "checks.parquet"
    if not path.exists():
        return []
    version = json.loads((folder / "publication.json").read_text())["version"]
    table = pd.read_parquet(path, filters=[("publication", "==", version)])
    return [list(row) for row in table[list(history.CHECKS[1:])].itertuples(index=False, name=None)]


def compared(
    before: Path, now: Path, studies: Sequence[Study], checks: Sequence[Sequence[Any]] | None = None
) -> Comparison:
    """What changed from one folder to the other."""
    from analysis.comparison import compare

    cities = pd.read_csv(REFERENCE / "cities.csv", dtype={"city_code": str})
    own = checks_of(now) if checks is None else checks
    return compare(snapshot(before, checks_of(before)), snapshot(now, own), studies, cities)


def summary(paths: Paths, candidate: Path, studies: Sequence[Study], order: int) -> dict[str, Any]:
    """What is kept of a publication when it is gone."""
    from analysis.comparison import headline_effects

    about = json.loads((candidate / "publication.json").read_text())
    rejects = _read(candidate / "data", "quality.rejects", None)
    estimates = _read(candidate / "data", "estimates.estimates", None)
    effects = headline_effects(studies)
    rows = estimates[["study", "exhibit", "model", "term", "estimate", "se"]].itertuples(index=False, name=None)
    return {
        "version": about["version"],
        "order": order,
        "is_sample": bool(about["is_sample"]),
        "files": len(_read(candidate / "data", "quality.files", None)),
        "rejects": rejects["rule"].value_counts().sort_index().to_dict() if len(rejects) else {},
        "checks": outcomes(paths.expectations_store),
        "headlines": [[*row[:4], _plain(row[4]), _plain(row[5])] for row in rows if row[:4] in effects],
    }


def _plain(value: float) -> float | None:
    return None if pd.isna(value) else float(value)


def _read(data: Path, name: str, files: Collection[str] | None) -> pd.DataFrame:
    """A table; of cells and records only what these files hold, with where it stands."""
    schema, _, table = name.partition(".")
    path = data / schema / f"{table}.parquet"
    if not path.exists():
        return pd.DataFrame()
    if name == "lineage.cells" and files is not None:
        headers = pd.read_parquet(data / "lineage" / "headers.parquet", filters=[("file", "in", list(files))])
        kept = ["header_id", "file", "sheet", "column", "header"]
        if headers.empty:
            return pd.DataFrame()
        cells = pd.read_parquet(path, filters=[("header_id", "in", headers["header_id"].tolist())])
        return cells.merge(headers[kept], on="header_id")
    if files is not None:
        return pd.read_parquet(path, filters=[("file", "in", list(files))])
    return pd.read_parquet(path)


def _findings(folder: Path) -> pd.DataFrame:
    rows = []
    for path in sorted((folder / "audit").glob("*.json")):
        audit = json.loads(path.read_text(encoding="utf-8"))
        rows += [{"study": path.stem, **finding} for finding in audit["findings"]]
    return pd.DataFrame(rows).reindex(columns=list(FINDING))


def write(paths: Paths, candidate: Path, studies: Sequence[Study]) -> pd.DataFrame:
    """Put the comparison with the publication that readers see into a candidate; returns the table of changes.

    A candidate of the same inputs says what that publication says: the same inputs give the same bytes.
    """
    target = candidate / "data" / "quality"
    target.mkdir(parents=True, exist_ok=True)
    before = paths.published.resolve() if paths.published.exists() else None
    own_version = version(candidate)
    shutil.rmtree(candidate / history.FOLDER, ignore_errors=True)
    if before and version(before) == own_version and (before / history.FOLDER / history.SUMMARY).exists():
        shutil.copytree(before / history.FOLDER, candidate / history.FOLDER)
        for name in ("changes", "checks"):
            shutil.copyfile(before / "data" / "quality" / f"{name}.parquet", target / f"{name}.parquet")
        return pd.read_parquet(target / "changes.parquet")
    entries, lost = history.read(paths)
    if entries and entries[-1]["version"] == own_version:
        entries = entries[:-1]
    own = summary(paths, candidate, studies, history.next_order(entries))
    table = _changes(before, candidate, studies, own["checks"])
    table.to_parquet(target / "changes.parquet", index=False)
    history.checks_table([*entries, own]).to_parquet(target / "checks.parquet", index=False)
    folder = candidate / history.FOLDER
    folder.mkdir()
    state.write_json(folder / history.SUMMARY, own)
    state.write_json(folder / history.TRENDS, {"trends": history.trends([*entries, own]), "lost": lost})
    return table


def _changes(
    before: Path | None, candidate: Path, studies: Sequence[Study], checks: Sequence[Sequence[Any]]
) -> pd.DataFrame:
    """The table of changes; one row says why where there is nothing to compare with."""
    from analysis.comparison import shaped

    if before is None:
        said = ("This is the first publication: nothing came before it.", "这是首次发布，此前没有可比的发布。")
    elif hurt := verification.damage(before, quick=True):
        said = (
            f"Publication {before.name} is damaged ({hurt[0].file} {hurt[0].what}), so nothing is compared with it.",
            f"第{before.name}次发布已损坏（{hurt[0].file}），不与之比较。",
        )
    else:
        return compared(before, candidate, studies, checks).table
    note = pd.DataFrame([{"part": "note", "message": said[0], "message_zh": said[1]}])
    return shaped(note).assign(publication=version(candidate))


def version(folder: Path) -> str:
    """The version of a publication or a candidate."""
    return str(state.read_json(folder / "publication.json").get("version", ""))


def line(table: pd.DataFrame) -> str:
    """What changed, in one line."""
    from analysis.comparison import wording

    return wording.overview(table).en


def report(candidate: Path) -> ChangesReport | None:
    """What the page *What changed* is made from; None where a candidate has no comparison."""
    from analysis.reporting.changes_page import ChangesReport

    path = candidate / "data" / "quality" / "changes.parquet"
    if not path.exists():
        return None
    kept = state.read_json(candidate / history.FOLDER / history.TRENDS)
    return ChangesReport(pd.read_parquet(path), kept.get("trends", ()), kept.get("lost", ()))
