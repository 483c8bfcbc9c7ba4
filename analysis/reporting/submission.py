"""The package that a journal's data editor asks for: its README, its master program, and what is checked of it.

The README follows the template of the social science data editors (Vilhuber and others, version 1.1). What goes into a
package is gathered in `dagster_project.submission`.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.printing.table import SAMPLE_NOTE, display_name
from analysis.studies.records import Study

CHECKSUMS = "checksums.sha256"
MAP = "program_map.csv"
LOG, FROM_RAW_LOG = "logs/run.log", "logs/from_raw.log"
#: Every raw file behind the publication: source, file, sha256, whether it is in the package.
RAW_FILES = "data/raw_files.csv"
#: Where raw files are computed from; with output/ and logs/, what a run makes and no checksum covers.
WORK = "from_raw"
MADE = ("output/", "logs/", f"{WORK}/")
#: Where a package comes to rest, and what its editors publish about it.
JOURNALS = {
    "aea": "American Economic Association, Data and Code Availability Policy (openICPSR)",
    "worldbank": "World Bank, Reproducible Research Repository",
    "cie": "China Industrial Economics (中国工业经济)",
}
#: Headings of the template, in its order.
HEADINGS = (
    "Overview",
    "Data Availability and Provenance Statements",
    "Statement about Rights",
    "Summary of Availability",
    "Details on each Data Source",
    "Dataset list",
    "Computational requirements",
    "Software Requirements",
    "Controlled Randomness",
    "Memory, Runtime, Storage Requirements",
    "Description of programs/code",
    "License for Code",
    "Instructions to Replicators",
    "List of tables and programs",
    "References",
)
#: Words of a licence under which a file may be handed on; anything else is taken for a no.
FREE = re.compile(
    r"\b(cc0|cc[- ]by(?:[- ]sa)?\b(?![- ]n)|public domain|odbl|odc-by|open government licen[cs]e)", re.IGNORECASE
)
#: What one deposit takes: bytes, and files.
MOST_BYTES, MOST_FILES = 2_000_000_000, 1_000
_ABSOLUTE = re.compile(r"(?<![\w:/.])(?:/(?:home|Users|root|mnt|tmp)/|[A-Z]:\\)\w")
_LIBRARIES = (
    "numpy",
    "pandas",
    "scipy",
    "statsmodels",
    "linearmodels",
    "pyfixest",
    "diff-diff",
    "scikit-learn",
    "matplotlib",
)


@dataclass(frozen=True)
class Source:
    """Where values of the study's panel come from.

    Attributes
    ----------
    name, title, publisher, licence, obtain, covers : as the contract states them.
    files : names of the raw files that were read, with their SHA-256.
    included : whether the files are in the package.
    """

    name: str
    title: str
    publisher: str
    licence: str
    obtain: str
    covers: str
    files: Mapping[str, str]
    included: bool


def may_be_included(licence: str) -> bool:
    """Whether a licence lets a file be handed on; silence and doubt are a no."""
    return bool(FREE.search(licence)) and not re.search(r"\bnot?\b.{0,20}redistribut", licence, re.IGNORECASE)


def program() -> str:
    """The master program: one command that computes everything again, without a network."""
    return '''\
"""Compute every table and figure again from data/ and compare each number with the stated one: python run.py

Needs Python 3.11 to 3.13 with the packages of code/requirements.lock; no network. Writes output/ and logs/run.log.
From the raw files on: python run.py --from-raw [FOLDER with those that are not in raw/]. Writes from_raw/ and
logs/from_raw.log, and needs the code installed as well: pip install --no-deps --no-build-isolation -e code
"""

import argparse
import os
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")
sys.dont_write_bytecode = True
sys.path.insert(0, str(HERE / "code"))

from analysis.reporting.submission import recompute, recompute_from_raw

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--from-raw", nargs="?", const=HERE / "raw", type=Path, metavar="FOLDER")
raw = parser.parse_args().from_raw
raise SystemExit(recompute_from_raw(HERE, raw) if raw else recompute(HERE))
'''


def recompute(folder: Path, say: Callable[[str], None] | None = None) -> int:
    """Compute the study of a package again; returns 0 where every number came out. Writes output/ and the log."""
    from analysis.reporting import figures, tables
    from analysis.studies import recomputation
    from analysis.studies.published import published

    lines: list[str] = []

    def tell(text: str) -> None:
        lines.append(text)
        (say or print)(text)

    started = time.monotonic()
    about = json.loads((folder / "data" / "about.json").read_text(encoding="utf-8"))
    changed = _changed(folder)
    tell(f"Python {platform.python_version()}, {platform.system()} {platform.machine()}")
    tell(", ".join(f"{name} {version(name)}" for name in _LIBRARIES))
    for name in changed:
        tell(f"warning: {name} is not the file that {CHECKSUMS} names.")
    base = folder / "data"
    files = {path.relative_to(base).as_posix(): path.read_bytes() for path in sorted(base.rglob("*")) if path.is_file()}
    tell(f"Computing {about['study']} from data/panels, {len(files)} files.")
    found = recomputation.recompute(
        about["study"],
        files,
        is_sample=about["is_sample"],
        tell=lambda exhibit, number, of: (say or print)(f"{exhibit}, {number + 1} of {of}"),
    )
    printed = published(found.study.name, base / "study" / "published")
    for result in found.results.values():
        tables.write_table(result, found.study, folder / "output", printed=printed)
        figures.write_figure(result, found.study, folder / "output")
        tell(f"{display_name(result.exhibit)}: {len(result.estimates)} rows of estimates")
    tell(found.summary())
    if not found.holds:
        tell(found.differences.to_string(index=False))
    tell(f"{time.monotonic() - started:.0f} seconds; exit code {0 if found.holds else 1}")
    (folder / LOG).parent.mkdir(exist_ok=True)
    (folder / LOG).write_text("\n".join([*lines, ""]), encoding="utf-8")
    return 0 if found.holds else 1


def recompute_from_raw(folder: Path, raw: Path, say: Callable[[str], None] = print) -> int:
    """Make the panel of a package anew from its raw files, then every number, in from_raw/; 0 where all came out.

    ``raw`` holds the files that are not in the package. Files that are missing or others than those that were read are
    named, and nothing is computed.
    """
    from analysis.studies.recomputation import compare

    lines: list[str] = []

    def tell(text: str) -> None:
        lines.append(text)
        say(text)

    started, work = time.monotonic(), folder / WORK
    about = json.loads((folder / "data" / "about.json").read_text(encoding="utf-8"))
    if about["panel_from_file"]:
        tell("The panel of this study is a file of its authors: python run.py computes all that there is from it.")
        return 2
    faults = [] if about["is_sample"] else _gather(folder, raw, work)
    needed = Path(sys.executable).with_name("pilotcity-dbt")
    if not needed.exists():
        faults.append(f"{needed.name} is missing: pip install --no-deps --no-build-isolation -e code")
    for fault in faults:
        tell(fault)
    if faults:
        return 2
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PILOTCITY")}
    environment |= {"PYTHONPATH": str(folder / "code"), "PILOTCITY_DATA": str(work)}
    environment |= {"PILOTCITY_OWN": str(folder / "own")} if (folder / "own").is_dir() else {}
    command = [sys.executable, "-m", "dagster_project.cli", "run", "--studies", about["study"]]
    made = subprocess.Popen(
        command, cwd=folder / "code", env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    assert made.stdout
    for line in made.stdout:
        tell(line.rstrip().replace(str(folder.resolve()), "."))
    estimates = work / "published" / "data" / "estimates" / "estimates.parquet"
    holds = made.wait() == 0
    if holds:
        found = pd.read_parquet(estimates)
        own = found[found["study"].eq(about["study"])].reset_index(drop=True)
        compared, differences = compare(pd.read_parquet(folder / "data" / "estimates.parquet"), own)
        holds = differences.empty
        tell(f"From raw files: {compared:,} figures compared, {len(differences):,} differ.")
        if not holds:
            tell(differences.to_string(index=False))
    tell(f"{time.monotonic() - started:.0f} seconds; exit code {0 if holds else 1}")
    (folder / FROM_RAW_LOG).parent.mkdir(exist_ok=True)
    (folder / FROM_RAW_LOG).write_text("\n".join([*lines, ""]), encoding="utf-8")
    return 0 if holds else 1


def _gather(folder: Path, raw: Path, work: Path) -> list[str]:
    """Copy the raw files that the package names to where they are read, or say which are not there or not the same."""
    with (folder / RAW_FILES).open(encoding="utf-8", newline="") as stream:
        stated = list(csv.DictReader(stream))
    faults, found = [], {}
    for row in stated:
        places = [place / row["file"] for place in (folder / "raw", raw)]
        there = next((place for place in places if place.is_file()), None)
        if there is None:
            faults.append(f"{row['file']} ({row['source']}) is missing; README.md says how to get it.")
        elif digest_of(there) != row["sha256"]:
            faults.append(f"{row['file']} ({row['source']}) is not the file that was read: its SHA-256 is another.")
        else:
            found[row["file"]] = there
    for name, path in found.items() if not faults else ():
        target = work / "raw" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    return faults


def _changed(folder: Path) -> list[str]:
    """Files of data/ and code/ that are not what the checksums say; nothing where there are none yet."""
    sums = folder / CHECKSUMS
    if not sums.exists():
        return []
    listed = [line.split("  ", 1) for line in sums.read_text(encoding="utf-8").splitlines()]
    stated = {name: digest for digest, name in listed if name.startswith(("data/", "code/"))}
    return [
        name for name, digest in stated.items() if not (folder / name).is_file() or digest_of(folder / name) != digest
    ]


def digest_of(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def checksums(folder: Path) -> str:
    """One line a file as sha256sum writes and reads them; the log and what is computed change from run to run."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != CHECKSUMS)
    names = [path.relative_to(folder).as_posix() for path in paths]
    return "".join(f"{digest_of(folder / name)}  {name}\n" for name in names if not name.startswith(MADE))


def program_map(study: Study, scripts: Sequence[str], drawn: Collection[str]) -> str:
    """Which program makes which table or figure, as CSV: title, program, line of the specification, output.

    ``drawn`` are the exhibits with a picture; a figure that could not be computed has a table that says why.
    """
    written = study.file.read_text(encoding="utf-8").splitlines()
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["exhibit", "title", "program", "specification", "line", "output", "other_software"])
    for exhibit in study.exhibits:
        at = next((n for n, line in enumerate(written, start=1) if re.match(rf"\s+{exhibit.name}\s*:", line)), 0)
        others = [name for name in scripts if Path(name).stem == exhibit.name]
        output = f"output/{exhibit.name}.{'png' if exhibit.name in drawn else 'tex'}"
        specification = f"data/study/{study.name}.yaml"
        program = f"run.py, code/analysis/studies/kinds/{exhibit.kind}.py"
        row = [
            display_name(exhibit.name),
            exhibit.title.en,
            program,
            specification,
            at or "",
            output,
            "; ".join(others),
        ]
        writer.writerow(row)
    return file.getvalue()


def readme(
    study: Study,
    journal: str,
    sources: Sequence[Source],
    datasets: Sequence[tuple[str, str]],
    *,
    about: Mapping[str, str],
    citation: str,
    measured: Mapping[str, str],
    is_sample: bool,
) -> str:
    """The README of a package.

    Parameters
    ----------
    datasets
        File -> what it is, whether provided.
    about
        ``publication``, ``code_sha256``, ``raw_sha256``.
    measured
        ``runtime`` and ``storage`` of the run that the log tells of, ``machine``, and ``from_raw``: the same runtime
        from the raw files on, empty where that was not run.
    """
    return _filled(
        "submission.md",
        study=study,
        journal=JOURNALS[journal],
        sources=sources,
        kept=[source for source in sources if not source.included],
        datasets=datasets,
        about=about,
        citation=citation.strip(),
        measured=measured,
        is_sample=is_sample,
    )


def readme_zh(study: Study, sources: Sequence[Source], measured: Mapping[str, str], *, is_sample: bool) -> str:
    """The same for a Chinese journal, in short."""
    return _filled("submission.zh.md", study=study, sources=sources, measured=measured, is_sample=is_sample)


def licence(study: Study, sources: Sequence[Source]) -> str:
    """The licence of code and data: the modified BSD license and CC BY, as the data editors recommend."""
    kept = [source for source in sources if not source.included]
    return _filled("submission_licence.txt", study=study, kept=kept)


def _filled(template: str, *, study: Study, **given: Any) -> str:
    """A template with what is given and what every text of the package may say."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    loader = FileSystemLoader(Path(__file__).parent / "templates")
    environment = Environment(
        loader=loader, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True, undefined=StrictUndefined
    )
    return environment.get_template(template).render(
        study=study,
        exhibits=[(display_name(exhibit.name), exhibit) for exhibit in study.exhibits],
        python=platform.python_version(),
        libraries=[(name, version(name)) for name in _LIBRARIES],
        sample_note=SAMPLE_NOTE,
        **given,
    )


def check(folder: Path, journal: str) -> list[str]:
    """What a data editor would send back, one sentence each: the items of the published lists that a machine can see.

    README with every part of the template; licence; data in an open format with every variable described; each table
    in the map, with its program and output; a log that says all came out; checksums that hold; no path of a machine, no
    archive inside, no hidden or generated file, names that every system takes; size.
    """
    work = folder / WORK
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and work not in path.parents)
    names = [path.relative_to(folder).as_posix() for path in paths]
    faults = []
    needed = [
        "README.md",
        "LICENSE.txt",
        "run.py",
        MAP,
        CHECKSUMS,
        LOG,
        "data/dictionary.csv",
        RAW_FILES,
        "code/requirements.lock",
    ]
    needed += ["README.zh.md", "data/panel.dta"] if journal == "cie" else []
    faults += [f"{name} is missing." for name in needed if name not in names]
    if faults:
        return faults
    text = (folder / "README.md").read_text(encoding="utf-8")
    faults += [f"README.md lacks {name!r}." for name in HEADINGS if not re.search(rf"(?m)^#+ {re.escape(name)}$", text)]
    faults += _data_faults(folder, text)
    faults += _map_faults(folder, names, text)
    faults += [
        f"{log} does not say that every number came out."
        for log in (LOG, FROM_RAW_LOG)
        if (folder / log).exists() and "exit code 0" not in (folder / log).read_text(encoding="utf-8")
    ]
    with (folder / RAW_FILES).open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    inside = {name for name in names if name.startswith("raw/")}
    stated = {f"raw/{row['file']}" for row in rows if row["included"] == "yes"}
    faults += [f"{name} is missing." for name in sorted(stated - inside)]
    faults += [f"{name} is here, though {RAW_FILES} does not include it." for name in sorted(inside - stated)]
    sums = (folder / CHECKSUMS).read_text(encoding="utf-8")
    listed = {line.partition("  ")[2] for line in sums.splitlines()}
    faults += [f"{name} is not what {CHECKSUMS} says." for name in _changed(folder)]
    unlisted = [name for name in names if not name.startswith(MADE) and name != CHECKSUMS]
    faults += [f"{name} has no checksum." for name in unlisted if name not in listed]
    for path, name in zip(paths, names, strict=True):
        faults += _file_faults(path, name)
    size = sum(path.stat().st_size for path in paths)
    if size > MOST_BYTES:
        faults.append(f"The package has {size / 1e9:.1f} GB; a deposit takes {MOST_BYTES / 1e9:.0f}.")
    if len(paths) > MOST_FILES:
        faults.append(f"The package has {len(paths)} files; a deposit takes {MOST_FILES}.")
    return faults


def _data_faults(folder: Path, text: str) -> list[str]:
    """Data in an open format, each variable described, each file in the README."""
    with (folder / "data" / "panel.csv").open(encoding="utf-8", newline="") as stream:
        columns = set(next(csv.reader(stream)))
    with (folder / "data" / "dictionary.csv").open(encoding="utf-8", newline="") as stream:
        described = {row["column_name"] for row in csv.DictReader(stream) if row["label_en"]}
    faults = [
        f"data/panel.csv has {name!r}, which data/dictionary.csv does not describe."
        for name in sorted(columns - described)
    ]
    data = [path for path in (folder / "data").iterdir() if path.suffix in (".csv", ".dta")]
    return faults + [f"README.md does not name data/{path.name}." for path in data if f"data/{path.name}" not in text]


def _map_faults(folder: Path, names: Sequence[str], text: str) -> list[str]:
    faults = []
    with (folder / MAP).open(encoding="utf-8", newline="") as stream:
        for row in csv.DictReader(stream):
            if row["output"] not in names:
                faults.append(f"{row['exhibit']}: {row['output']} is missing.")
            if f"| {row['exhibit']} |" not in text:
                faults.append(f"README.md does not list {row['exhibit']}.")
            for program in [*row["program"].split(", "), *filter(None, row["other_software"].split("; "))]:
                if program not in names:
                    faults.append(f"{row['exhibit']}: the program {program} is missing.")
    return faults


def _file_faults(path: Path, name: str) -> list[str]:
    faults = []
    if path.suffix.lower() in (".zip", ".gz", ".rar", ".7z", ".tar"):
        faults.append(f"{name} is an archive; a deposit holds files.")
    if any(part.startswith(".") or part in ("__pycache__", "Thumbs.db") for part in name.split("/")):
        faults.append(f"{name} is hidden or generated.")
    if not name.startswith("raw/") and not re.fullmatch(r"[A-Za-z0-9_./\-]+", name):
        faults.append(f"{name}: a name of letters, digits, dots, dashes and underscores works on every system.")
    if path.suffix in (".py", ".R", ".do", ".sql", ".md", ".yaml", ".yml") and not name.startswith("code/docs/"):
        found = _ABSOLUTE.search(path.read_text(encoding="utf-8", errors="replace"))
        if found and not name.startswith("code/"):
            faults.append(f"{name} names a path of one machine: {found.group()!r}.")
    return faults


def main() -> int:
    """Check a package: python -m analysis.reporting.submission FOLDER JOURNAL."""
    faults = check(Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else "aea")
    for fault in faults:
        print(fault)
    return 1 if faults else 0


if __name__ == "__main__":
    raise SystemExit(main())
