"""One zip a study, from which a stranger computes its tables again: packed here, and unpacked here without trust.

What is compared with what is in `analysis.studies.recomputation`.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import stat
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from analysis.printing.table import SAMPLE_NOTE

FORMAT = 1
MANIFEST = "manifest.json"
#: The earliest time that a zip can say, so that the same files give the same bytes.
EPOCH = (1980, 1, 1, 0, 0, 0)
#: Limits on what is unpacked: files, bytes of all together, and of the manifest.
MOST_FILES, MOST_BYTES, MANIFEST_BYTES = 5_000, 2_000_000_000, 5_000_000
_PART = re.compile(r"[\w.\-]+")


@dataclass(frozen=True)
class Archive:
    """An archive whose every file is the one its manifest names.

    Attributes
    ----------
    study : name of the study.
    about : the manifest without its files: ``is_sample``, ``publication``, ``code`` (hashes), ``software``.
    files : path -> contents.
    """

    study: str
    about: Mapping[str, Any]
    files: Mapping[str, bytes]


def pack(study: str, files: Mapping[str, bytes], about: Mapping[str, Any]) -> bytes:
    """The zip of a study, the same bytes for the same files.

    Parameters
    ----------
    files
        Path -> contents, as `read` expects them: study/<study>.yaml, data/reference/cities.csv, data/policies/*.csv,
        panels/*.parquet, estimates.parquet; anything else is taken along.
    about
        ``is_sample``, ``publication``, ``code``, ``software``: what made them.
    """
    readme = _readme(study, bool(about.get("is_sample")))
    everything = {**files, "README.txt": readme.encode()}
    listed = {path: {"sha256": _hash(content), "bytes": len(content)} for path, content in sorted(everything.items())}
    manifest = {"format": FORMAT, "study": study, **about, "files": listed}
    everything[MANIFEST] = (json.dumps(manifest, indent=1, ensure_ascii=False) + "\n").encode()
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        for path in sorted(everything):
            entry = zipfile.ZipInfo(path, EPOCH)
            entry.compress_type, entry.external_attr, entry.create_system = zipfile.ZIP_DEFLATED, 0o644 << 16, 3
            archive.writestr(entry, everything[path])
    return file.getvalue()


def unpack(content: bytes) -> Archive:
    """The files of an archive, held in memory, after every check.

    Raises
    ------
    ValueError
        In one sentence: no zip, a path that leads outside, a link, an encrypted or repeated entry, more or larger
        files than an archive of ours can have, no manifest, a file that the manifest does not name or gives another
        hash.
    """
    try:
        archive = zipfile.ZipFile(io.BytesIO(content))
    except (zipfile.BadZipFile, ValueError) as error:
        raise ValueError(f"This is not a zip file that can be read: {error}.") from None
    with archive:
        entries = archive.infolist()
        _refuse(entries)
        manifest = _manifest(archive)
        listed = manifest["files"]
        extra = {entry.filename for entry in entries} - set(listed) - {MANIFEST}
        if extra:
            raise ValueError(
                f"The archive holds {sorted(extra)[0]!r}, which its manifest does not name; it is not used."
            )
        files = {}
        for path, said in listed.items():
            files[path] = _read(archive, path, int(said["bytes"]))
            if _hash(files[path]) != said["sha256"]:
                raise ValueError(f"{path!r} is not the file that the manifest names: its SHA-256 differs.")
    about = {key: value for key, value in manifest.items() if key not in ("files", "study", "format")}
    return Archive(str(manifest["study"]), about, files)


def _refuse(entries: list[zipfile.ZipInfo]) -> None:
    """Everything that no archive of ours has, judged before a byte is unpacked."""
    if len(entries) > MOST_FILES:
        raise ValueError(f"The archive has {len(entries)} files; {MOST_FILES} are the most that are unpacked.")
    total = sum(entry.file_size for entry in entries)
    if total > MOST_BYTES:
        raise ValueError(f"The archive unpacks to {total:,} bytes; {MOST_BYTES:,} are the most.")
    seen: set[str] = set()
    for entry in entries:
        parts = entry.filename.split("/")
        if any(not _PART.fullmatch(part) or set(part) == {"."} for part in parts):
            raise ValueError(
                f"The archive holds the path {entry.filename!r}, which could lead outside; it is not unpacked."
            )
        if entry.filename in seen:
            raise ValueError(f"The archive holds {entry.filename!r} twice.")
        if entry.flag_bits & 1:
            raise ValueError(f"{entry.filename!r} is encrypted; an archive of a study is not.")
        if stat.S_ISLNK(entry.external_attr >> 16):
            raise ValueError(f"{entry.filename!r} is a link; an archive of a study holds plain files only.")
        seen.add(entry.filename)
    for name in sorted(seen):
        if folder := next((str(parent) for parent in PurePosixPath(name).parents if str(parent) in seen), None):
            raise ValueError(f"The archive holds {folder!r} as a file and as a folder; it is not unpacked.")


def _manifest(archive: zipfile.ZipFile) -> dict[str, Any]:
    try:
        size = archive.getinfo(MANIFEST).file_size
    except KeyError:
        raise ValueError(f"The archive has no {MANIFEST}: it was not written by pilotcity.") from None
    if size > MANIFEST_BYTES:
        raise ValueError(f"{MANIFEST} unpacks to {size:,} bytes; {MANIFEST_BYTES:,} are the most.")
    try:
        manifest = json.loads(_read(archive, MANIFEST, size))
        whole = all(
            re.fullmatch("[0-9a-f]{64}", said["sha256"]) and type(said["bytes"]) is int and said["bytes"] >= 0
            for said in manifest["files"].values()
        )
        named = re.fullmatch(r"[a-z][a-z0-9_]*", manifest["study"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{MANIFEST} cannot be read: {error}.") from None
    if manifest.get("format") != FORMAT or not whole or not named:
        raise ValueError(f"{MANIFEST} is not of format {FORMAT}; use the version of pilotcity that wrote it.")
    return manifest


def _read(archive: zipfile.ZipFile, path: str, size: int) -> bytes:
    """A file of at most the size it is said to have; an entry that unpacks to more is refused, not unpacked."""
    try:
        with archive.open(path) as stream:
            content = stream.read(size + 1)
    except KeyError:
        raise ValueError(f"The manifest names {path!r}, which the archive does not hold.") from None
    except Exception as error:  # zipfile, zlib and their kin raise errors of many kinds
        raise ValueError(f"{path!r} cannot be unpacked: {error}.") from None
    if len(content) != size:
        raise ValueError(f"{path!r} does not have the {size:,} bytes that the manifest names.")
    return content


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _readme(study: str, is_sample: bool) -> str:
    sample = f"{SAMPLE_NOTE}\n\n" if is_sample else ""
    return f"""{sample}The study {study}, complete: what was estimated, from which panel, with which result.

study/            the specification, and the figures that the paper prints
data/             cities and lists of pilots that the specification refers to
panels/           the panel (Parquet, Stata), and panels over other years
dictionary.csv    every column of the panels: meaning, unit, source, share filled in, range
estimates.*       every estimate; tables/ every table and figure as on the page
manifest.json     SHA-256 of each file, and of the code that made them
CITATION.txt      what to cite

To compute every estimate again: make replicate ZIP=path/to/{study}.zip in a checkout of pilotcity.
"""
