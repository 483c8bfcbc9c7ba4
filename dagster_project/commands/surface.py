"""`pilotcity surface`: every defensible specification of a study's question on the published data, without a run."""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from dagster_project.paths import Paths, shown

if TYPE_CHECKING:
    from analysis.studies.records import Study

HELP = "every defensible specification of a study, from the published data; nothing published is touched"
#: Draws where none are asked for: what journals expect of a randomisation test.
DRAWS = 500


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("study", help="name of a study, as its YAML is called")
    parser.add_argument("--draws", type=_draws, default=DRAWS, help=f"of the joint test ({DRAWS})")
    parser.add_argument("--list", action="store_true", help="print the list as CSV and its hash; no data are read")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--output", type=Path, help="folder for table, picture and every specification as Parquet")


def _draws(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number above zero")
    return int(text)


def main(paths: Paths, options: argparse.Namespace) -> int:
    """Compute the study's surfaces, or those that its own words allow where it states none, and print them."""
    import sys

    from analysis.printing.table import SAMPLE_NOTE
    from analysis.reporting import figures, tables
    from analysis.studies.kinds import KINDS
    from analysis.studies.published import published
    from analysis.studies.run import run_exhibit
    from dagster_project import drawn, overlay
    from dagster_project.exhibits import read_panel
    from dagster_project.progress import Screen

    study = _with_draws(_study(paths, options.study), options.draws)
    surfaces = [exhibit for exhibit in study.exhibits if exhibit.kind == "surface"]
    if options.list:
        from analysis.studies.surface.plan import sha256, specifications

        for exhibit in surfaces:
            listed = specifications(exhibit.plan)
            print(listed.to_csv(index=False, lineterminator="\n"), end="")
            print(f"{exhibit.name}: {len(listed):,} specifications, SHA-256 {sha256(listed)}", file=sys.stderr)
        return 0
    folder = paths.published.resolve()
    if not (folder / "data" / "panels" / f"{study.name}.parquet").exists():
        raise FileNotFoundError(f"Nothing is published of {study.name!r} yet: run `pilotcity run` first.")
    cities = overlay.cities(paths, dtype={"city_code": str})
    panel = read_panel(folder, study.name)
    # what a publication was made from is its own matter, whatever lies in the raw folder now
    sample = bool(json.loads((folder / "publication.json").read_text())["is_sample"]) and study.panel is None
    panels = drawn.city_year(folder, study)
    for exhibit in surfaces:
        with Screen(aside=True) as screen:
            screen.doing(f"every specification of {exhibit.name}, and {options.draws:,} draws of the joint test")
            result = run_exhibit(study, exhibit.name, panel, is_sample=sample, cities=cities, panels=panels)
        if options.json:
            rows = json.loads(result.estimates.to_json(orient="records"))
            print(json.dumps({"study": study.name, "exhibit": exhibit.name, "is_sample": sample, "estimates": rows}))
        else:
            table = tables.exhibit_table(result, study, printed=published(study.name, study.file.parent / "published"))
            print(f"{SAMPLE_NOTE}\n" if sample else "", end="")
            print(tables.markdown(table))
        if options.output:
            printed = published(study.name, study.file.parent / "published")
            written = tables.write_table(result, study, options.output, printed=printed)
            written |= figures.write_figure(result, study, options.output)
            fills = KINDS[exhibit.kind].fills
            assert fills is not None
            target = options.output / f"{exhibit.name}.{fills[0]}.parquet"
            fills[1](result).to_parquet(target, index=False)
            print(f"{len(written) + 1} files in {shown(options.output)}.", file=sys.stderr)
    return 0


def _study(paths: Paths, name: str) -> Study:
    from analysis.studies import spec
    from dagster_project import overlay

    return spec.load(overlay.study_file(paths, name), overlay.known(paths))


def _with_draws(study: Study, draws: int) -> Study:
    """The study whose surfaces have so many draws; with one by its own words where it states none."""
    from analysis.studies.kinds.surface import Written
    from analysis.studies.records import Exhibit, Label

    exhibits = study.exhibits
    if not any(exhibit.kind == "surface" for exhibit in exhibits):
        title = Label("Every defensible specification", "全部合理设定")
        common = Exhibit("surface", "surface", title, None, None, is_drawn=True)
        exhibits = (*exhibits, Written().exhibit(common, study))
    plans = [replace(exhibit.plan, draws=draws) if exhibit.plan is not None else None for exhibit in exhibits]
    return replace(study, exhibits=tuple(replace(e, plan=plan) for e, plan in zip(exhibits, plans, strict=True)))
