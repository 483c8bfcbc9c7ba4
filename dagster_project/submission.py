"""A study's package for a journal, gathered from the last publication, the code at hand and the raw folder.

What the package says and what is checked of it are decided in `analysis.reporting.submission`.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from dagster_project import downloads, overlay
from dagster_project.fingerprint import files_below
from dagster_project.paths import CODE, LOCK, ROOT, Paths
from dagster_project.progress import duration

if TYPE_CHECKING:
    from analysis.reporting.archive import Archive
    from analysis.reporting.submission import Source
    from analysis.studies.records import Study


def build(
    paths: Paths,
    name: str,
    journal: str,
    folder: Path,
    *,
    from_raw: bool = False,
    tell: Callable[[str], None] = lambda text: None,
) -> list[str]:
    """Write the package into a folder that is not there yet; returns what a data editor would send back.

    The master program runs once in the package, so that its log and the time it takes are those of this package; with
    ``from_raw`` once more from the raw files on. ``tell`` is told what goes on.

    Raises
    ------
    FileNotFoundError
        No publication holds the study.
    ValueError
        The folder is there already, or the numbers of the publication do not come out again with the code at hand.
    """
    from analysis.reporting import submission
    from analysis.reporting.archive import unpack
    from analysis.studies.recomputation import specification

    zipped = paths.published / "exports" / f"{name}.zip"
    if not zipped.exists():
        raise FileNotFoundError(f"No publication holds the study {name!r}: pilotcity run --studies {name}")
    if folder.exists() and any(folder.iterdir()):
        raise ValueError(f"{folder} is there already; name another one with -o, or move it away.")
    archive = unpack(zipped.read_bytes())
    study = specification(name, archive.files)
    about = json.loads((paths.published / "publication.json").read_text())
    sample = bool(archive.about.get("is_sample"))
    tell(f"gathering the package of {name}")
    datasets = _data(paths, folder, study, archive, about, sample=sample)
    sources = _sources(paths, folder, study, archive, sample=sample)
    _code(folder)
    scripts = _scripts(folder, study, sample=sample)
    _write(folder / "run.py", submission.program())
    _write(folder / "LICENSE.txt", submission.licence(study, sources))
    _own(paths, folder, study)
    seconds = _run(folder, [], tell)
    longer = ""
    if from_raw:
        longer = duration(_run(folder, ["--from-raw", str(paths.raw)], tell))
        shutil.rmtree(folder / submission.WORK)
    _write(folder / submission.MAP, _map(study, folder, scripts))
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    measured = {
        "runtime": duration(seconds),
        "machine": f"a machine with {os.cpu_count()} cores ({sys.platform})",
        "storage": f"{size / 1e6:.0f} MB",
        "from_raw": longer,
    }
    said = {key: str(archive.about["code"][f"{key}"]) for key in ("code_sha256", "raw_sha256")}
    text = submission.readme(
        study,
        journal,
        sources,
        datasets,
        about={**said, "publication": str(archive.about.get("publication"))},
        citation=downloads.citation(study, about),
        measured=measured,
        is_sample=sample,
    )
    _write(folder / "README.md", text)
    if journal == "cie":
        _write(folder / "README.zh.md", submission.readme_zh(study, sources, measured, is_sample=sample))
    _write(folder / submission.CHECKSUMS, submission.checksums(folder))
    return submission.check(folder, journal)


def _map(study: Study, folder: Path, scripts: list[str]) -> str:
    from dataclasses import replace

    from analysis.reporting import submission

    # the specification was read from a folder that is gone
    written = replace(study, file=folder / "data" / "study" / f"{study.name}.yaml")
    return submission.program_map(written, scripts, {path.stem for path in (folder / "output").glob("*.png")})


def _data(
    paths: Paths, folder: Path, study: Study, archive: Archive, about: Mapping[str, Any], *, sample: bool
) -> list[tuple[str, str]]:
    """The archive's files but its tables, and the panel for people; returns what each data file is."""
    for path, content in archive.files.items():
        if not path.startswith("tables/") and path not in ("README.txt", "CITATION.txt"):
            target = folder / "data" / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
    said = {"study": study.name, "is_sample": sample, "publication": archive.about.get("publication")}
    said["panel_from_file"] = study.panel is not None
    _write(folder / "data" / "about.json", json.dumps(said, indent=1) + "\n")
    panel = pd.read_parquet(io.BytesIO(archive.files[f"panels/{study.name}.parquet"]))
    wide, more = downloads.handed_out(study, panel)
    dictionary = pd.read_csv(io.BytesIO(archive.files["dictionary.csv"]))
    labels = downloads.labels(dictionary.assign(unit=dictionary["unit"].fillna("")), study.name) | more
    for kind, content in downloads.panel_in(("csv", "dta"), wide, labels, study, dict(about), is_sample=sample).items():
        (folder / "data" / f"panel.{kind}").write_bytes(content)
    _describe(folder / "data" / "dictionary.csv", dictionary, more, sample=sample)
    return [
        (
            "`data/panel.csv`, `data/panel.dta`",
            f"{len(wide):,} rows: the panel with names and every column made from it",
        ),
        (f"`data/panels/{study.name}.parquet`", "the same panel as `run.py` reads it"),
        ("`data/dictionary.csv`", "every variable: label, unit, definition, source, values, range"),
        ("`data/estimates.csv`", "every estimate, with which `run.py` compares"),
        ("`data/study/`, `data/data/`", "specification; lists of pilots with sources, and cities"),
        ("`data/raw_files.csv`", "every raw file that was read, with its SHA-256, and whether it is in `raw/`"),
    ]


def _describe(path: Path, dictionary: pd.DataFrame, more: Mapping[str, str], *, sample: bool) -> None:
    """The dictionary with the columns that the panel got on its way out."""
    from analysis.reporting.tables import safe_csv

    extra = pd.DataFrame({"column_name": list(more), "label_en": list(more.values())})
    extra["definition"] = "Made from the panel's columns, or looked up in data/reference/cities.csv."
    if sample:
        mark = {"column_name": ["data"], "label_en": ["SAMPLE DATA in every row"], "definition": ["No finding."]}
        extra = pd.concat([extra, pd.DataFrame(mark)], ignore_index=True)
    path.write_text(safe_csv(pd.concat([dictionary, extra], ignore_index=True)), encoding="utf-8", newline="")


def _sources(paths: Paths, folder: Path, study: Study, archive: Archive, *, sample: bool) -> list[Source]:
    """Sources behind the panel's columns; of every source that a run reads, files that may be handed on go to raw/."""
    from analysis.reporting import submission
    from analysis.reporting.submission import Source, may_be_included

    dictionary = pd.read_csv(io.BytesIO(archive.files["dictionary.csv"]))
    named = {part.strip() for text in dictionary["sources"].dropna() for part in str(text).split(";")}
    ledger = paths.published / "data" / "quality" / "files.parquet"
    files = pd.read_parquet(ledger) if ledger.exists() else pd.DataFrame(columns=["source", "file", "sha256"])
    found, listed = [], []
    for contract in overlay.contracts(paths).values():
        read = files[files["source"] == contract.source]
        free = not sample and may_be_included(contract.licence)
        listed.append(read.reindex(columns=["source", "file", "sha256"]).assign(included="yes" if free else "no"))
        for name in read["file"] if free else ():
            target = folder / "raw" / str(name)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(paths.raw / str(name), target)
        if contract.source not in named:
            continue
        text = {key: " ".join(getattr(contract, key).split()) for key in ("publisher", "licence", "obtain", "covers")}
        if sample:
            text |= {"licence": "simulated files in this source's layout", "obtain": "the code writes them"}
        hashes = dict(zip(read["file"], read["sha256"], strict=True))
        found.append(Source(name=contract.source, title=contract.title.en, files=hashes, included=free, **text))
    table = pd.concat(listed, ignore_index=True) if listed and study.panel is None else files.head(0)
    path = folder / submission.RAW_FILES
    path.write_text(table.reindex(columns=["source", "file", "sha256", "included"]).to_csv(index=False), "utf-8")
    return found


def _own(paths: Paths, folder: Path, study: Study) -> None:
    """What of the own folder the way from raw files to the study reads."""
    if study.panel is not None:
        return
    from analysis.catalogue import INDICATORS, VARIABLES

    lists = overlay.policy_files(paths)
    policies = {lists[name] for name in (study.policy, *(other.policy for other in study.policies)) if name in lists}
    studies = {paths.own / "studies" / f"{study.name}.yaml"}
    rest = {paths.own / name for name in (INDICATORS, VARIABLES, overlay.CITIES)}
    for path in sorted(policies | studies | rest | {*(paths.own / "contracts").glob("*.yaml")}):
        if path.is_file() and path.is_relative_to(paths.own):
            target = folder / "own" / path.relative_to(paths.own)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)


def _code(folder: Path) -> None:
    """The code that made the publication, without what is generated."""
    for name in CODE:
        for path in files_below(ROOT / name):
            target = folder / "code" / path.relative_to(ROOT)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
    for path in (LOCK, ROOT / "pyproject.toml"):
        shutil.copyfile(path, folder / "code" / path.name)


def _scripts(folder: Path, study: Study, *, sample: bool) -> list[str]:
    """R scripts and do-files of the tables that have a counterpart; returns their paths in the package."""
    from analysis.reporting import scripts

    written = []
    for exhibit in study.exhibits:
        if any(model.method in scripts.NEEDS and not model.panel for model in exhibit.models):
            for suffix, script in (("R", scripts.r), ("do", scripts.stata)):
                name = f"scripts/{exhibit.name}.{suffix}"
                text = script(study, exhibit, is_sample=sample)
                for ending in ("csv", "dta"):
                    text = text.replace(f'"{study.name}.{ending}"', f'"../data/panel.{ending}"')
                _write(folder / name, text)
                written.append(name)
    return written


def _run(folder: Path, options: list[str], tell: Callable[[str], None]) -> float:
    """Run the master program in the package, as a replicator does; returns seconds."""
    started = time.monotonic()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PILOTCITY")}
    command = [sys.executable, "-u", "run.py", *options]
    made = subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert made.stdout
    lines = []
    for line in made.stdout:
        lines.append(line)
        tell(f"run.py: {line.strip()}")
    if made.wait():
        raise ValueError(f"The numbers did not come out again in {folder}:\n{''.join(lines)[-3000:]}")
    return time.monotonic() - started


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8", newline="")
