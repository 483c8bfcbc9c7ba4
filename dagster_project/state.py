"""Small files that decide something: written whole or not at all, also across a loss of power; what is torn is absent.

A file is written beside its place, brought to the disk, renamed, and its folder brought to the disk too.
"""

from __future__ import annotations

import ctypes
import json
import os
import sys
from pathlib import Path
from typing import Any

_told: set[tuple[Path, str]] = set()


def write(path: Path, content: str) -> None:
    """Put a text in the place of a file: whoever reads sees the old one whole or the new one whole."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        with fresh.open("w", encoding="utf-8") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        fresh.replace(path)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise
    sync(path.parent)


def write_json(path: Path, content: Any) -> None:
    """The same for what JSON can hold."""
    write(path, json.dumps(content, indent=1, sort_keys=True))


def read_json(path: Path) -> dict[str, Any]:
    """What such a file holds; empty where it is absent, or cannot be read, which is told once."""
    try:
        found = json.loads(path.read_bytes())
        if isinstance(found, dict):
            return found
        why = "it holds no JSON object"
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        why = f"it is {'empty' if _empty(path) else 'cut short or damaged'}: {error}"
    if (path, why) not in _told:
        _told.add((path, why))
        print(f"pilotcity: {path} cannot be read ({why}). It is taken as absent.", file=sys.stderr, flush=True)
    return {}


def read_text(path: Path) -> str:
    """A stamp that is only compared; empty where it is absent."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def link(place: Path, target: Path) -> None:
    """Let a symlink lead elsewhere, by one rename; FileExistsError where a folder of somebody's own is in its place."""
    if place.exists() and not place.is_symlink():
        raise FileExistsError(f"{place} is a folder of its own; move it away, pilotcity keeps a link there.")
    fresh = place.with_name(f".{place.name}.new")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(target)
    fresh.replace(place)
    sync(place.parent)


def sync(path: Path) -> None:
    """Bring one file's content, or a folder's list of names, to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_all_below(folder: Path) -> None:
    """Bring a folder of many files to the disk, in one call to its file system: a tenth of the time of one a file."""
    if sys.platform != "linux":
        os.sync()
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        if ctypes.CDLL(None, use_errno=True).syncfs(handle):
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), str(folder))
    finally:
        os.close(handle)


def _empty(path: Path) -> bool:
    return path.is_file() and not path.stat().st_size
