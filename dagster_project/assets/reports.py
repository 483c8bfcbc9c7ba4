"""What people read: Data Docs of the expectations, and the site with every table, figure and doubt."""

import dataclasses
import datetime
import json
import os
import pickle
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg
import pandas as pd

from dagster_project import agreement, comparing, downloads, exhibits, file_panels, overlay, publication
from dagster_project.assets.agreement import AGREEMENT
from dagster_project.assets.audits import RESULT, audit_key, kept_audit, place_audit
from dagster_project.assets.changes import CHANGES
from dagster_project.assets.common import OWNERS
from dagster_project.assets.exports import EXPORTS
from dagster_project.assets.publish import ESTIMATES
from dagster_project.assets.studies import CANDIDATE, candidate_of_this_run, store_of_this_run
from dagster_project.checks import checks_table
from dagster_project.exhibits import is_sample, read_panel
from dagster_project.paths import DOCS, Paths
from dagster_project.raw_folder import look
from dagster_project.store import Computation, Store

if TYPE_CHECKING:
    from analysis.reporting.site import StudyReport, WarehouseReport
    from analysis.studies.spec import Study

GROUP = "report"
#: Stands in kept pages for the time that is only known when they are published.
LATER = "0000-00-00 00:00 UTC"
DATA_DOCS = dg.AssetKey(["report", "data_docs"])
#: Columns of quality.layers that the site shows.
LAYERS = ["files", "layer", "table_name", "unit", "rows_in", "rejected", "left_out", "rows_out", "what_is_left_out"]


def data_docs(paths: Paths, studies: list["Study"]) -> dg.AssetsDefinition:
    names = ["city_year", *(name for study in studies for name in (study.name, *study.other_panels))]
    panels = [dg.AssetKey(["panels", name]) for name in names]

    @dg.asset(
        key=DATA_DOCS,
        deps=[CANDIDATE, *panels],
        group_name=GROUP,
        kinds={"greatexpectations", "html"},
        owners=OWNERS,
        description="What was checked of the panels, what failed and on which rows, as pages that open offline.",
    )
    def asset() -> dg.MaterializeResult:
        from analysis.printing.table import SAMPLE_NOTE
        from expectations import runner

        candidate, outcomes = candidate_of_this_run(paths), paths.expectations_store
        notice = SAMPLE_NOTE if paths.is_sample else ""
        version, kept = store_of_this_run(paths).keep(
            Computation(
                name="data_docs",
                inputs={"outcomes": runner.kept(outcomes), "notice": notice},
                modules=("expectations.runner",),
                make=lambda folder: runner.build_data_docs(outcomes, folder / "pages", notice, "../checks.html", LATER),
            )
        )
        publication.record(candidate, {"data_docs": version})
        folder = candidate / "site" / "data_docs"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(kept / "pages", folder)
        for page in folder.rglob("*.html"):
            page.write_text(page.read_text(encoding="utf-8").replace(LATER, _now()), encoding="utf-8")
        return dg.MaterializeResult(
            data_version=dg.DataVersion(version), metadata={"pages": len(list(folder.rglob("*.html")))}
        )

    return asset


def site(paths: Paths, studies: list["Study"]) -> dg.AssetsDefinition:
    @dg.asset(
        key=["report", "site"],
        deps=[DATA_DOCS, ESTIMATES, AGREEMENT, EXPORTS, CHANGES, *(audit_key(study.name) for study in studies)],
        group_name=GROUP,
        kinds={"html"},
        owners=OWNERS,
        description=(
            "The site: every table and figure beside the published one, the warehouse behind them, what was set aside "
            "and what could not be computed. Static pages that open offline."
        ),
    )
    def asset() -> dg.MaterializeResult:
        from analysis.reporting import site as pages
        from expectations import runner

        candidate, store = candidate_of_this_run(paths), store_of_this_run(paths)
        folder = candidate / "site"
        about = json.loads((candidate / "publication.json").read_text())
        refreshed = _now()
        pages.build(
            folder,
            studies=[_study_report(paths, store, candidate, study) for study in studies],
            warehouse=_warehouse_report(paths, candidate),
            publication={**about, "refreshed": refreshed},
            dictionary=pd.read_parquet(candidate / "data" / "panels" / "data_dictionary.parquet"),
            docs=DOCS,
            tables=_tables(candidate),
            checks=runner.kept(paths.expectations_store),
            changes=comparing.report(candidate),
        )
        return dg.MaterializeResult(
            metadata={
                "pages": len(list(folder.glob("*.html"))),
                "files": sum(path.is_file() for path in folder.rglob("*")),
                "refreshed": refreshed,
            }
        )

    return asset


def _now() -> str:
    """The time that pages show; SOURCE_DATE_EPOCH (reproducible-builds.org) sets it, for two runs to be compared."""
    given = os.environ.get("SOURCE_DATE_EPOCH")
    moment = datetime.datetime.fromtimestamp(int(given), datetime.UTC) if given else datetime.datetime.now(datetime.UTC)
    return moment.strftime("%Y-%m-%d %H:%M UTC")


def _study_report(paths: Paths, store: Store, candidate: Path, study: "Study") -> "StudyReport":
    from analysis.reporting.exhibit_files import read_exhibit
    from analysis.reporting.site import StudyReport

    panel = read_panel(candidate, study.name)
    results, truths = {}, []
    for exhibit in study.exhibits:
        _, folder = store.keep(exhibits.computation(paths, candidate, study, exhibit.name))
        results[exhibit.name], truth = read_exhibit(folder)
        if truth is not None:
            truths.append(truth)
    report = StudyReport.from_panel(
        file_panels.described(candidate, study),
        panel,
        is_sample=is_sample(paths, study),
        results=results,
        truth=pd.concat(truths, ignore_index=True) if truths else None,
        cities=overlay.cities(paths, dtype={"city_code": str}),
        drawn=candidate / "exhibits" / study.name,
        agreement=agreement.read(candidate, study.name),
        downloads=downloads.present(candidate, study.name),
        citation=downloads.citation(study, json.loads((candidate / "publication.json").read_text())).strip(),
    )
    version, folder = kept_audit(paths, store, candidate, study)
    place_audit(candidate, study, version, folder)
    found, reproduced = pickle.loads((folder / RESULT).read_bytes())
    return dataclasses.replace(report, audit=found, replication=reproduced)


def _warehouse_report(paths: Paths, candidate: Path) -> "WarehouseReport":
    from analysis.reporting.site import WarehouseReport

    quality = {path.stem: pd.read_parquet(path) for path in (candidate / "data" / "quality").glob("*.parquet")}
    read = quality["files"]
    if "layers" not in quality:
        # every study has a file of its own: there is no warehouse behind them
        return WarehouseReport(_panel_rows(candidate), checks_table(paths), quality["rejects"], read, is_sample=False)
    below = look(paths.raw)
    names = {name for name in (*below.files, *below.left_out) if "_truth" not in name.split("/")}
    unclaimed = pd.DataFrame({"file": sorted(names - set(read["file"]))}).assign(source="no contract claims it")
    return WarehouseReport(
        layers=pd.concat([quality["layers"], _panel_rows(candidate)], ignore_index=True)[LAYERS],
        checks=checks_table(paths),
        rejects=quality["rejects"],
        files=pd.concat([read, unclaimed], ignore_index=True),
        is_sample=paths.is_sample,
        planted=_planted(paths, quality["rejects"]),
    )


def _tables(candidate: Path) -> dict[str, pd.DataFrame] | None:
    """Tables behind the pages of cities and variables; None without a warehouse."""
    data = candidate / "data"
    if not (data / "lineage" / "cells.parquet").is_file():
        return None
    found = (
        path for schema in ("panels", "lineage", "scores", "quality") for path in (data / schema).glob("*.parquet")
    )
    return {f"{path.parent.name}.{path.stem}": pd.read_parquet(path) for path in sorted(found)}


def _panel_rows(candidate: Path) -> pd.DataFrame:
    """One row a published panel of a study; quality.layers ends where they begin, at city_year."""
    rows = []
    for path in sorted((candidate / "data" / "panels").glob("*.parquet")):
        frame = pd.read_parquet(path)
        if path.stem != "city_year" and "adoption" in frame.columns:
            units = "cities and years" if {"city_code", "year"} <= set(frame.columns) else "units and periods"
            row = {"files": "all", "layer": "panels", "table_name": path.stem, "unit": units}
            rows.append({**row, "rows_out": len(frame), "what_is_left_out": ""})
    return pd.DataFrame(rows, columns=LAYERS)


def _planted(paths: Paths, rejects: pd.DataFrame) -> pd.DataFrame:
    """What was planted in the sample world and what the rules caught of it; nothing for real files."""
    ledgers = sorted((paths.raw / "_truth").glob("*faults.csv")) if paths.is_sample else []
    if not ledgers:
        return pd.DataFrame()
    from analysis.simulation import detection

    return detection.planted_and_caught(detection.read_ledgers(ledgers), rejects)
