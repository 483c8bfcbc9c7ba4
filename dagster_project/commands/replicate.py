"""`pilotcity replicate`: a study computed again from the zip that the report offers, compared with what it states."""

from __future__ import annotations

import argparse
from pathlib import Path

from dagster_project.paths import CODE, LOCK, ROOT, Paths, shown

HELP = "compute a study again from its zip and compare every estimate"
#: Differences that are printed one by one.
SHOWN = 20


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("zip", type=Path, help="exports/<study>.zip of a publication")
    parser.add_argument("--tables", type=Path, metavar="FOLDER", help="write the tables and figures there as well")


def main(paths: Paths, options: argparse.Namespace) -> int:
    """Check the archive, compute the study from its panel, compare; 0 when every estimate came out again."""
    from analysis.reporting.archive import unpack
    from analysis.studies.recomputation import TOLERANCE, recompute
    from dagster_project.progress import Screen

    if not options.zip.is_file():
        raise FileNotFoundError(f"There is no file {options.zip}.")
    archive = unpack(options.zip.read_bytes())
    sample = bool(archive.about.get("is_sample"))
    print(f"{archive.study}, publication {archive.about.get('publication')}: {len(archive.files)} files, hashes agree.")
    if sample:
        print("SAMPLE DATA: no number says anything about a real city.")
    for difference in _other_code(archive.about.get("code")):
        print(f"warning: {difference}")
    with Screen(aside=True) as screen:
        found = recompute(archive.study, archive.files, is_sample=sample, tell=screen.part)
    if options.tables:
        _write(found, options.tables)
        print(f"Tables and figures: {shown(options.tables)}")
    print(found.summary())
    print(f"Compared to {TOLERANCE:g} of each number, or of its standard error where that is larger.")
    if not found.holds:
        print(found.differences.head(SHOWN).to_string(index=False))
        if len(found.differences) > SHOWN:
            print(f"… and {len(found.differences) - SHOWN} more.")
    return 0 if found.holds else 1


def _other_code(stated: object) -> list[str]:
    """What of the code at hand is not what made the archive, one sentence each."""
    from dagster_project.fingerprint import files_below, hash_files

    said = stated if isinstance(stated, dict) else {}
    here = {
        "code_sha256": hash_files([path for name in CODE for path in files_below(ROOT / name)], ROOT),
        "lock_sha256": hash_files([LOCK], ROOT),
    }
    names = {"code_sha256": "the code", "lock_sha256": "the list of libraries (requirements.lock)"}
    return [
        f"{names[kind]} here is not what made the archive ({value[:12]} here, {str(said.get(kind))[:12]} there); "
        "numbers may differ for that reason."
        for kind, value in here.items()
        if said.get(kind) != value
    ]


def _write(found: object, folder: Path) -> None:
    from analysis.reporting import figures, tables
    from analysis.studies.published import published
    from analysis.studies.recomputation import Recomputation

    assert isinstance(found, Recomputation)
    printed = published(found.study.name)
    for result in found.results.values():
        tables.write_table(result, found.study, folder, printed=printed)
        figures.write_figure(result, found.study, folder)
