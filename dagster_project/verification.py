"""Whether a publication is still what was published: its checksums, and whether its parts agree with each other.

``seal`` writes the checksums before the swap. What was verified when is kept beside the publications, never in one.
"""

from __future__ import annotations

import hashlib
import html
import json
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from dagster_project import state
from dagster_project.paths import Paths
from dagster_project.raw_folder import SHADOWS

CHECKSUMS = "checksums.json"
DATABASE = "pilotcity.duckdb"
#: What the published DuckDB file holds. Lineage stays in Parquet: without compression it would double the file.
DATABASE_SCHEMAS = ("panels", "scores", "estimates", "quality")
#: What file browsers leave in a folder that somebody looks at; it says nothing of what was published.
LEFT_BEHIND = (".DS_Store", "Thumbs.db", "desktop.ini")
#: The same rows in any order give the same three numbers.
CONTENT = "select count(*), bit_xor(hash(row)), sum(hash(row)::hugeint) from {} as row"
PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>When this publication was last verified</title>
<style>body {{ margin: 0; font: 1rem/1.4 system-ui, sans-serif }} p {{ margin: 0 }}</style>
<p>{text}</p>
</html>
"""


@dataclass(frozen=True)
class Difference:
    """A file of a publication, or a table of its DuckDB file, that is not what was published."""

    file: str
    what: str


@dataclass(frozen=True)
class Verdict:
    """What became of one publication.

    ``since``: file -> when the difference was first seen. ``before``: when all was last seen whole; both as text.
    ``sealed``: False where an earlier version published it, without checksums.
    """

    number: int
    differences: list[Difference]
    since: dict[str, str]
    before: str
    sealed: bool
    files: int
    seconds: float

    def sentences(self) -> list[str]:
        """One a difference: which file, what, since when."""
        whole = f"; all was whole on {self.before}" if self.before else ""
        return [f"{one.file} {one.what} (first seen {self.since[one.file]}{whole})" for one in self.differences]

    def as_dict(self) -> dict[str, Any]:
        """The same for machines."""
        return {
            "publication": self.number,
            "whole": not self.differences,
            "checksums": self.sealed,
            "files": self.files,
            "seconds": round(self.seconds, 2),
            "last_whole": self.before,
            "differences": [
                {"file": one.file, "what": one.what, "first_seen": self.since[one.file]} for one in self.differences
            ],
        }


def seal(folder: Path) -> None:
    """Write the checksums of every file and the targets of every link below a folder."""
    (folder / CHECKSUMS).unlink(missing_ok=True)
    files, links = {}, {}
    for path in _below(folder):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink():
            links[name] = str(path.readlink())
        else:
            files[name] = {"bytes": path.stat().st_size, "sha256": _sha256(path)}
    state.write(folder / CHECKSUMS, _text({"files": files, "links": links}))


def damage(folder: Path, quick: bool = False) -> list[Difference]:
    """What differs from the checksums, by content, or by size alone; empty where there are none to compare with."""
    if not (folder / CHECKSUMS).exists():
        return []
    try:
        text = (folder / CHECKSUMS).read_bytes()
        sealed = json.loads(text)
        if _text({key: sealed[key] for key in ("files", "links")}).encode() != text:
            raise ValueError
    except (ValueError, KeyError, TypeError):
        return [Difference(CHECKSUMS, "is damaged, so that nothing can be compared with it")]
    found = []
    seen = {path.relative_to(folder).as_posix(): path for path in _below(folder)} | {CHECKSUMS: folder / CHECKSUMS}
    for name in sorted({*sealed["files"], *sealed["links"], *seen} - {CHECKSUMS}):
        path, file, link = seen.get(name), sealed["files"].get(name), sealed["links"].get(name)
        if path is None:
            found.append(Difference(name, "is missing"))
        elif file is None and link is None:
            found.append(Difference(name, "was not published: it is there in addition"))
        elif path.is_symlink():
            if link != str(path.readlink()):
                found.append(Difference(name, f"leads to {path.readlink()}, not to {link or 'content of its own'}"))
        elif file is None:
            found.append(Difference(name, f"is a file, not a link to {link}"))
        elif path.stat().st_size != file["bytes"]:
            found.append(Difference(name, f"has {path.stat().st_size:,} bytes, not {file['bytes']:,}"))
        elif not quick and (what := _content(path, file["sha256"])):
            found.append(Difference(name, what))
    return found


def _content(path: Path, sha256: str) -> str:
    """How a file's content differs from its checksum; empty where it does not."""
    try:
        if _sha256(path) == sha256:
            return ""
    except OSError as error:  # a bad disk, a file that somebody else owns
        return f"cannot be read: {error.strerror}"
    return f"has another content, written {_moment(path.stat().st_mtime)}"


def distrust(folder: Path, name: str) -> str:
    """Why one file of a publication is not to be read, as a sentence; empty where it is what its checksum says."""
    sealed = state.read_json(folder / CHECKSUMS).get("files", {})
    wrong = _content(folder / name, sealed.get(name, {}).get("sha256", "")) if sealed else ""
    return f"{name} {wrong}." if wrong else ""


def disagreement(folder: Path) -> list[Difference]:
    """Tables of the DuckDB file that are not the Parquet beside it, exhibits that are not what the estimates say."""
    return [*_database(folder), *_exhibits(folder)]


def verify(paths: Paths, number: int, *, thorough: bool = True) -> Verdict:
    """Compare a publication with its checksums and, if ``thorough``, its parts with each other; keeps what was seen."""
    started, folder = time.monotonic(), paths.publications / str(number)
    kept = state.read_json(_state(paths))
    known = kept.get(str(number), {})
    sealed = (folder / CHECKSUMS).exists()
    found = damage(folder)
    if not sealed and known.get("checksums"):
        found = [Difference(CHECKSUMS, "is missing")]
    elif sealed and not found and known.get("checksums") not in (None, _sha256(folder / CHECKSUMS)):
        found = [Difference(CHECKSUMS, "is not the one that was published")]
    if thorough:
        named = {one.file for one in found}
        found += [one for one in disagreement(folder) if one.file not in named]
    now = _moment(time.time())
    since = {one.file: known.get("differs", {}).get(one.file, now) for one in found}
    before = known.get("verified") or known.get("published") or ""
    known |= {"differs": since} | ({} if found or not sealed else {"verified": now})
    with suppress(PermissionError):  # a reader may verify too, where it cannot be kept
        _keep(paths, kept | {str(number): known})
    seconds = time.monotonic() - started
    files = sum(not path.is_symlink() for path in _below(folder)) - sealed
    return Verdict(number, found, since, before, sealed or bool(known.get("checksums")), files, seconds)


def published(paths: Paths, number: int) -> None:
    """Remember a publication that was just made, and its checksums."""
    folder = paths.publications / str(number)
    kept = state.read_json(_state(paths))
    kept[str(number)] = {"published": _moment(time.time()), "checksums": _sha256(folder / CHECKSUMS), "differs": {}}
    _keep(paths, kept)


def tell(paths: Paths) -> None:
    """Say in the report when the publication that readers see was last verified."""
    if not paths.published.exists():
        return
    number = paths.published.resolve().name
    known = state.read_json(_state(paths)).get(number, {})
    if known.get("differs"):
        differ = sorted(known["differs"])
        more = f" and {len(differ) - 3} more" if len(differ) > 3 else ""
        text = f"Publication {number} is damaged. Not as it was published: {', '.join(differ[:3])}{more}."
    elif known.get("verified"):
        text = f"Publication {number} was last verified on {known['verified']}: every file is as it was published."
    elif known.get("published"):
        text = f"Publication {number} was written on {known['published']} and has not been verified since."
    else:
        text = f"Publication {number} was never verified."
    state.write(paths.verified, PAGE.format(text=html.escape(text)))


def _state(paths: Paths) -> Path:
    return paths.publications / "verified.json"


def _keep(paths: Paths, kept: dict[str, Any]) -> None:
    state.write_json(
        _state(paths), {number: known for number, known in kept.items() if (paths.publications / number).is_dir()}
    )
    tell(paths)


def _below(folder: Path) -> Iterator[Path]:
    return (
        path
        for path in sorted(folder.rglob("*"))
        if (path.is_symlink() or path.is_file()) and path.name not in LEFT_BEHIND and not path.name.startswith(SHADOWS)
    )


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _text(content: dict[str, Any]) -> str:
    """Checksums as they are written, with a checksum of their own: another byte anywhere is another text."""
    own = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    return json.dumps({**content, "sha256": own}, indent=1, sort_keys=True) + "\n"


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _database(folder: Path) -> Iterator[Difference]:
    import duckdb

    if not (folder / DATABASE).exists():
        return
    with duckdb.connect(config={"threads": 1}) as connection:
        try:
            connection.execute(f"attach '{_quoted(folder / DATABASE)}' as published (read_only)")
            listed = "select schema_name || '.' || table_name from duckdb_tables() where database_name = 'published'"
            tables = {row[0] for row in connection.execute(listed).fetchall()} - {"panels.publication"}
        except duckdb.Error as error:
            yield Difference(DATABASE, f"cannot be opened: {str(error).splitlines()[0]}")
            return
        files = {
            f"{schema}.{path.stem}": path
            for schema in DATABASE_SCHEMAS
            for path in sorted((folder / "data" / schema).glob("*.parquet"))
        }
        for name in sorted(tables | set(files)):
            if name not in tables or name not in files:
                yield Difference(
                    f"{DATABASE}, {name}", f"stands in the {'Parquet' if name in files else 'database'} alone"
                )
                continue
            schema, table = name.split(".", 1)
            try:
                one = connection.execute(CONTENT.format(f'published.{schema}."{table}"')).fetchall()
                other = connection.execute(CONTENT.format(f"read_parquet('{_quoted(files[name])}')")).fetchall()
            except duckdb.Error as error:
                yield Difference(f"{DATABASE}, {name}", f"cannot be read: {str(error).splitlines()[0]}")
                continue
            if one != other:
                yield Difference(f"{DATABASE}, {name}", "is not what the Parquet beside it holds")


def _quoted(path: Path) -> str:
    return str(path).replace("'", "''")


def _exhibits(folder: Path) -> Iterator[Difference]:
    import pandas as pd

    table = folder / "data" / "estimates" / "estimates.parquet"
    parts = sorted((folder / "exhibits").glob("*/*.estimates.parquet"))
    if not table.exists() or not parts:
        return
    try:
        estimates = pd.read_parquet(table)
    except Exception as error:  # whatever the reader says of a damaged file
        yield Difference(str(table.relative_to(folder)), f"cannot be read: {error}")
        return
    for path in parts:
        name, study, exhibit = (
            str(path.relative_to(folder)),
            path.parent.name,
            path.name.removesuffix(".estimates.parquet"),
        )
        try:
            part = pd.read_parquet(path)
        except Exception as error:
            yield Difference(name, f"cannot be read: {error}")
            continue
        those = estimates[estimates["study"].eq(study) & estimates["exhibit"].eq(exhibit)]
        if not _same(those.reset_index(drop=True), part.reset_index(drop=True)):
            yield Difference(name, "is not what estimates.estimates holds of this exhibit")
    known = {(path.parent.name, path.name.removesuffix(".estimates.parquet")) for path in parts}
    for pair in sorted(set(zip(estimates["study"], estimates["exhibit"], strict=True)) - known):
        yield Difference("/".join(pair), "stands in estimates.estimates without an exhibit")


def _same(one: Any, other: Any) -> bool:
    """Equal values; an empty part has no columns, and its types say nothing."""
    if len(one) != len(other):
        return False
    if not len(one):
        return True
    columns = list(other.columns)
    return set(columns) == set(one.columns) and one[columns].astype(object).fillna("").equals(
        other.astype(object).fillna("")
    )
