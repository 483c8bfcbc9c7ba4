"""`pilotcity audit`: what a referee would raise about a study, and what of its paper comes out again."""

from __future__ import annotations

import argparse
import json

from dagster_project.paths import Paths

HELP = "what a referee would raise about a study, from the published data"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("study", help="name of a study, as its YAML is called")
    parser.add_argument("--replication", action="store_true", help="which printed numbers come out again, and why")
    parser.add_argument("--json", action="store_true", help="print JSON")


def main(paths: Paths, options: argparse.Namespace) -> int:
    """Print the findings, errors first; a finding is no failure of the command."""
    from analysis.audit import audit, replicate
    from analysis.studies import spec
    from dagster_project import overlay
    from dagster_project.audit_inputs import audit_inputs

    study = spec.load(overlay.study_file(paths, options.study), overlay.known(paths))
    folder = paths.published
    if not (folder / "data" / "panels" / f"{study.name}.parquet").exists():
        raise FileNotFoundError(f"Nothing is published of {study.name!r} yet: run `make run` first.")
    everything = audit_inputs(paths, folder, study)
    found = audit(everything)
    if options.json:
        extra = {"replication": replicate(everything).as_list()} if options.replication else {}
        print(json.dumps(found.as_dict() | extra, indent=1, ensure_ascii=False))
        return 0
    if everything.is_sample:
        print("SAMPLE DATA: what rests on the panel says nothing about real cities.\n")
    print(found.summary())
    if options.replication:
        print(f"\n{replicate(everything).summary()}")
    return 0
