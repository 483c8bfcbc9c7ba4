"""What people read: Data Docs of the expectations, and the site with every table, figure and doubt."""

import datetime
import hashlib
import json
import os
import pickle
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg
import pandas as pd

from dagster_project import agreement, comparing, downloads, exhibits, file_panels, history, overlay, publication
from dagster_project.assets.agreement import AGREEMENT
from dagster_project.assets.audits import RESULT, audit_key, kept_audit, place_audit
from dagster_project.assets.changes import CHANGES
from dagster_project.assets.common import OWNERS
from dagster_project.assets.exports import EXPORTS
from dagster_project.assets.publish import ESTIMATES
from dagster_project.assets.studies import CANDIDATE, candidate_of_this_run, store_of_this_run
from dagster_project.checks import checks_table
from dagster_project.exhibits import is_sample, read_panel
from dagster_project.fingerprint import digest
from dagster_project.paths import DOCS, Paths
from dagster_project.raw_folder import look
from dagster_project.store import Computation, Content, Store

if TYPE_CHECKING:
    from analysis.reporting.site import PendingReport, WarehouseReport
    from analysis.studies.spec import Study

GROUP = "report"
#: Stands in kept pages for the time that is only known when they are published.
LATER = "0000-00-00 00:00 UTC"
#: A study on the map, among the kept pieces of the site.
MAP = "map.pickle"
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

        candidate = candidate_of_this_run(paths)
        folder = candidate / "site"
        about = json.loads((candidate / "publication.json").read_text())
        refreshed = _now()
        keep = _Kept(store_of_this_run(paths))
        tables = _Tables.of(candidate)
        pages.build(
            folder,
            studies=[_study_report(paths, keep, candidate, study) for study in studies],
            warehouse=_warehouse_report(paths, candidate),
            publication={**about, "refreshed": refreshed},
            dictionary=pd.read_parquet(candidate / "data" / "panels" / "data_dictionary.parquet"),
            docs=DOCS,
            tables=tables,
            checks=runner.kept(paths.expectations_store),
            changes=comparing.report(candidate),
            keep=keep,
            contents=tables.contents if tables is not None else None,
        )
        keep.store.remember_site(keep.versions)
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


class _Kept:
    """Pieces of the site, kept by content; ``versions`` are of those that this site is made of."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.versions: dict[str, str] = {}

    def __call__(self, name: str, inputs: Mapping[str, Any], make: Callable[[Path], object]) -> Path:
        computation = Computation(
            name=f"site/{name}", inputs=inputs, modules=("analysis.reporting.site", __name__), make=make
        )
        self.versions[computation.name], folder = self.store.keep(computation)
        return folder


def _study_report(paths: Paths, keep: _Kept, candidate: Path, study: "Study") -> "PendingReport":
    """A study for the site: what decides its pages, and how its report is put together."""
    from analysis.reporting.exhibit_files import read_exhibit
    from analysis.reporting.site import UNSAID, PendingReport, StudyReport

    shown = file_panels.described(candidate, study)
    panel = exhibits.panel_file(candidate, study.name)
    sample = is_sample(paths, study)
    opinions = agreement.read(candidate, study.name)
    audit, audited = kept_audit(paths, keep.store, candidate, study)
    place_audit(candidate, study, audit, audited)
    made = {one.name: exhibits.computation(paths, candidate, study, one.name) for one in study.exhibits}
    citation = downloads.citation(
        study, UNSAID | {"is_sample": json.loads((candidate / "publication.json").read_text())["is_sample"]}
    )
    handed_out = downloads.present(candidate, study.name)
    cities = hashlib.sha256(overlay.cities_csv(paths)).hexdigest()
    about = {"study": replace(shown, exhibits=()), "panel": Content(panel), "cities": cities}
    drawn = keep(f"{study.name}/map", about, lambda folder: _draw_map(paths, candidate, study, folder))

    def whole() -> StudyReport:
        results, truths = {}, []
        for name, computation in made.items():
            results[name], truth = read_exhibit(keep.store.keep(computation)[1])
            if truth is not None:
                truths.append(truth)
        found, reproduced = pickle.loads((audited / RESULT).read_bytes())
        report = StudyReport.from_panel(
            shown,
            pd.read_parquet(panel),
            is_sample=sample,
            results=results,
            truth=pd.concat(truths, ignore_index=True) if truths else None,
            drawn=candidate / "exhibits" / study.name,
            agreement=opinions,
            downloads=handed_out,
            citation=citation.strip(),
        )
        year_map = pickle.loads((drawn / MAP).read_bytes())
        return replace(report, map=year_map, audit=found, replication=reproduced)

    return PendingReport(
        shown,
        sample,
        {
            name: {"result": keep.store.version(computation), "agreement": _second(opinions, name)}
            for name, computation in made.items()
        },
        {**about, "audit": audit, "downloads": handed_out, "citation": citation},
        whole,
    )


def _draw_map(paths: Paths, candidate: Path, study: "Study", folder: Path) -> None:
    from analysis.reporting.year_map import year_map
    from analysis.studies.file_panel import keyed

    cities = overlay.cities(paths, dtype={"city_code": str})
    made = year_map(study, keyed(study, read_panel(candidate, study.name)), cities)
    (folder / MAP).write_bytes(pickle.dumps(made))


def _second(opinions: pd.DataFrame | None, exhibit: str) -> str | None:
    """A hash of what other engines make of an exhibit."""
    if opinions is None:
        return None
    own = opinions[opinions["exhibit"].eq(exhibit)]
    return hashlib.sha256(own.to_csv(index=False).encode()).hexdigest()


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


class _Tables(Mapping[str, pd.DataFrame]):
    """Tables behind the pages of cities and variables, each read when it is first asked for.

    ``contents``: name -> hash of the file.
    """

    def __init__(self, files: Mapping[str, Path]) -> None:
        self._files, self._read = files, cache(pd.read_parquet)
        self.contents = {name: digest(path) for name, path in files.items()}

    @classmethod
    def of(cls, candidate: Path) -> "_Tables | None":
        """Those of a candidate; None without a warehouse. What compares publications is on a page of its own."""
        data = candidate / "data"
        if not (data / "lineage" / "cells.parquet").is_file():
            return None
        found = (
            path for schema in ("panels", "lineage", "scores", "quality") for path in (data / schema).glob("*.parquet")
        )
        files = {f"{path.parent.name}.{path.stem}": path for path in sorted(found)}
        return cls({name: path for name, path in files.items() if name not in history.TABLES})

    def __getitem__(self, name: str) -> pd.DataFrame:
        return self._read(self._files[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self._files)

    def __len__(self) -> int:
        return len(self._files)


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
