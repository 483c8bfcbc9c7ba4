"""`pilotcity panel`: a published panel as a file for another program, with names of cities, labels and notes."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from dagster_project.paths import Paths, shown

HELP = "a published panel for Stata, Excel, R or Python, with names, labels, units and notes"
FORMATS = ("dta", "csv", "parquet", "xlsx")


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("panel", help="city_year, a study, or one of its panels over other years")
    parser.add_argument("--format", default="dta", metavar=",".join(FORMATS), help="one, or several with commas")
    parser.add_argument("-o", "--out", type=Path, default=Path(), metavar="FOLDER", help="where files are written")


def main(paths: Paths, options: argparse.Namespace) -> int:
    """Write the panel in each format and say where."""
    import pandas as pd

    from analysis.studies.reading import nearest
    from dagster_project import downloads, overlay
    from dagster_project.progress import Screen

    formats = [word.strip().lower() for word in options.format.split(",")]
    unknown = [word for word in formats if word not in FORMATS]
    if unknown:
        raise ValueError(f"--format {unknown[0]}: expected {', '.join(FORMATS)}.")
    folder = paths.published / "data" / "panels"
    if not folder.is_dir():
        raise FileNotFoundError("Nothing is published yet: run `make run` first.")
    studies = overlay.studies(paths)
    owners = {panel: study for study in studies for panel in (study.name, *study.other_panels)}
    source = folder / f"{options.panel}.parquet"
    if not source.exists() or (options.panel != "city_year" and options.panel not in owners):
        near = nearest(options.panel, ["city_year", *owners])
        raise ValueError(
            f"There is no published panel {options.panel!r}{f'; the nearest is {near!r}' if near else ''}."
        )
    study = owners.get(options.panel)
    about = json.loads((paths.published / "publication.json").read_text())
    sample = bool(about["is_sample"]) and (study is None or study.panel is None)
    panel, more = downloads.handed_out(study, pd.read_parquet(source))
    labels = downloads.labels(pd.read_parquet(folder / "data_dictionary.parquet"), options.panel) | more
    options.out.mkdir(parents=True, exist_ok=True)
    with Screen(aside=True) as screen:
        screen.doing(f"writing {len(panel):,} rows as {', '.join(formats)}")
        written = downloads.panel_in(formats, panel, labels, study, about, is_sample=sample)
    for kind, content in written.items():
        target = options.out / f"{options.panel}.{kind}"
        target.write_bytes(content)
        print(f"{shown(target)}: {len(panel):,} rows, {len(panel.columns)} columns{' (SAMPLE DATA)' if sample else ''}")
    return 0
