"""The raw folder: which of its files can be read, under names that may be written anywhere, and why others are not.

One file that cannot be read costs itself only: it is left out with a sentence. Imports nothing heavy.
"""

from __future__ import annotations

import hashlib
import os
import stat
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

IGNORED = {"__pycache__", "target", "logs", ".user.yml", ".DS_Store"}
#: What Excel keeps beside a workbook that is open, and macOS beside any file on a foreign disk.
SHADOWS = ("~$", "._")
KINDS = {stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket", stat.S_IFCHR: "a device", stat.S_IFBLK: "a device"}
FOLLOW = "copy what it leads to here, or allow such links with PILOTCITY_LINKS=follow"


@dataclass(frozen=True)
class Folder:
    """What a folder holds, by name: its path below the folder as `printable` writes it, parts joined by "/".

    Attributes
    ----------
    files : name -> path, of the files that count, in order of their name.
    left_out : name -> why, a clause without subject, of what would count and cannot be read.
    """

    files: dict[str, Path]
    left_out: dict[str, str]

    @property
    def sentences(self) -> list[str]:
        """One a name that is left out."""
        return [f"{name} {why}; it is left out." for name, why in self.left_out.items()]


def look(folder: Path) -> Folder:
    """Every file below a folder. Links are followed to files and folders inside it, and out of it only where
    PILOTCITY_LINKS is ``follow``; no folder is entered twice."""
    root = os.path.realpath(folder)
    files: dict[str, Path] = {}
    left_out: dict[str, str] = {}
    linked: list[Path] = []
    found = list(_below(folder, root, linked))
    entered = set()
    while linked:
        path = linked.pop(0)
        real = os.path.realpath(path)
        if real in entered or _inside(real, root):
            found.append((path, "is a link to a folder that is read already"))
        else:
            entered.add(real)
            found.extend(_below(path, root, linked))
    for path, why in sorted(found, key=lambda one: os.fsencode(one[0])):
        name = printable(str(path.relative_to(folder)))
        if name in files or name in left_out:
            left_out[f"{name} (again)"] = "has the same name as another file once both are written as text"
        elif why:
            left_out[name] = why
        else:
            files[name] = path
    return Folder(dict(sorted(files.items())), left_out)


def hash_of(why: str) -> str:
    """What stands for the hash of the content of a file that is left out."""
    return hashlib.sha256(why.encode()).hexdigest()


def printable(name: str) -> str:
    """A name as text that is safe to print: in UTF-8, else as GB18030 (old Chinese archives), else bytes escaped;
    line ends, control and direction characters escaped."""
    raw = os.fsencode(name)
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        try:
            text = raw.decode("gb18030")
        except UnicodeDecodeError:
            text = raw.decode("utf-8", "backslashreplace")
    return "".join(
        character
        if character.isprintable() or unicodedata.category(character) == "Zs"
        else character.encode("unicode_escape").decode()
        for character in text
    )


def _below(folder: Path, root: str, linked: list[Path]) -> Iterator[tuple[Path, str]]:
    """Files below a folder, each with why it cannot be read ("" where it can); links to folders go to ``linked``."""
    try:
        entries = list(os.scandir(folder))
    except FileNotFoundError:
        return
    except OSError as error:
        yield folder, f"cannot be listed ({error.strerror})"
        return
    for entry in entries:
        path = Path(entry.path)
        if entry.name in IGNORED or entry.name.startswith(SHADOWS) or path.suffix == ".pyc":
            continue
        try:
            why = _wrong_link(path, root) if entry.is_symlink() else ""
            if why:
                yield path, why
            elif entry.is_dir() and entry.is_symlink():
                linked.append(path)
            elif entry.is_dir():
                yield from _below(path, root, linked)
            elif not stat.S_ISREG(mode := entry.stat().st_mode):
                yield path, f"is {KINDS.get(stat.S_IFMT(mode), 'something else')}, not a file"
            elif not os.access(path, os.R_OK):
                yield path, "cannot be read (Permission denied)"
            else:
                yield path, ""
        except OSError as error:
            yield path, f"cannot be read ({error.strerror})"


def _wrong_link(path: Path, root: str) -> str:
    """Why a link is not followed."""
    real = os.path.realpath(path)
    if not Path(real).exists():
        return "is a link that leads nowhere"
    if not _inside(real, root) and os.environ.get("PILOTCITY_LINKS") != "follow":
        return f"is a link that leads out of the raw folder: {FOLLOW}"
    return ""


def _inside(real: str, root: str) -> bool:
    return os.path.commonpath([root, real]) == root
