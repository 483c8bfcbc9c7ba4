"""Whether anything that decides a result has changed: raw files, the own folder, code with what is committed, lock.

Imports nothing heavy, so that a run with nothing to do ends at once.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

from dagster_project import state
from dagster_project.paths import CODE, LOCK, ROOT, Paths
from dagster_project.raw_folder import IGNORED, SHADOWS, look


def files_below(folder: Path) -> list[Path]:
    """Files of a folder that count, in order of their path."""
    if not folder.is_dir():
        return []
    return sorted(
        path
        for path in folder.rglob("*")
        if path.is_file()
        and not IGNORED.intersection(path.relative_to(folder).parts)
        and path.suffix != ".pyc"
        and not path.name.startswith(SHADOWS)
    )


def hash_files(paths: Iterable[Path], base: Path) -> str:
    """One hash of names and contents."""
    total = hashlib.sha256()
    for path in paths:
        with path.open("rb") as stream:
            content = hashlib.file_digest(stream, "sha256").digest()
        total.update(os.fsencode(path.relative_to(base)) + b"\0" + content)
    return total.hexdigest()


def hash_raw(raw: Path) -> str:
    """One hash of the raw folder's names and contents, and of what is left out of it and why."""
    found = look(raw)
    total = hashlib.sha256(repr(found.left_out).encode())
    for name, path in found.files.items():
        total.update(name.encode() + b"\0" + (digest(path) or "unreadable").encode())
    return total.hexdigest()


def digest(path: Path) -> str | None:
    """Hash of a file's content; None where it cannot be read, though its folder said so."""
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError:
        return None


def hash_folder(folder: Path) -> str:
    """One hash of a folder's names and contents."""
    return hash_files(files_below(folder), folder)


def fingerprint(paths: Paths) -> dict[str, str]:
    """Hashes of everything that decides what a run publishes, by kind."""
    code = [path for name in CODE for path in files_below(ROOT / name)]
    return {
        "raw": f"{paths.raw} {hash_raw(paths.raw)}",
        "own": f"{paths.own} {','.join(paths.studies)} {hash_folder(paths.own)}",
        "code": hash_files(code, ROOT),
        "lock": hash_files([LOCK], ROOT),
    }


def changed(paths: Paths) -> list[str]:
    """Which kinds differ from the last publication's fingerprint; every kind when there is none."""
    now = fingerprint(paths)
    if not (paths.reports / "index.html").exists():
        return list(now)
    before = state.read_json(paths.published / "fingerprint.json")
    return [kind for kind, value in now.items() if before.get(kind) != value]
