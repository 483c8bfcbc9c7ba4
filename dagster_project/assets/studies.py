"""An asset for each table and figure of a study, computed from the candidate's Parquet alone."""

import base64
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg
import pandas as pd

from dagster_project import drawn, exhibits, overlay, publication, side_by_side, web_page
from dagster_project.assets.common import OWNERS
from dagster_project.paths import Paths
from dagster_project.resources import forced
from dagster_project.side_by_side import WORTH_WHILE, SecondProcess
from dagster_project.store import Store, of_run

if TYPE_CHECKING:
    from analysis.studies.records import Study

CANDIDATE = dg.AssetKey(["publication", "candidate"])


def exhibit_key(study: str, exhibit: str) -> dg.AssetKey:
    return dg.AssetKey([study, exhibit])


def gate_key(panel: str) -> dg.AssetKey:
    """A panel as the candidate has it: it passed its blocking checks."""
    return dg.AssetKey(["candidate", panel])


def study_assets(paths: Paths, studies: list["Study"], takes: Callable[[str, str], bool]) -> list[dg.AssetsDefinition]:
    """Every exhibit of every study that a run takes in."""
    every = [(study, exhibit.name) for study in studies for exhibit in study.exhibits]
    return [_exhibit(paths, study, name) for study, name in every if takes(study.name, name)]


def candidate_of_this_run(paths: Paths) -> Path:
    """The candidate that the run of the current step goes on with; a run repeated from its failure is the same run."""
    return publication.open_candidate(paths, this_run())


def this_run() -> str:
    """The run of the current step, or the one that it repeats."""
    run = dg.AssetExecutionContext.get().run
    return run.root_run_id or run.run_id


def store_of_this_run(paths: Paths) -> Store:
    """Results kept by content; a forced run computes each of them once more."""
    return of_run(paths, this_run(), forced())


def _exhibit(paths: Paths, study: "Study", name: str) -> dg.AssetsDefinition:
    exhibit = study.exhibit(name)
    panels = exhibits.panels_of(study, name)
    behind = [dg.AssetKey(["panels", "city_year"]), CANDIDATE] if drawn.reads(study, [name]) else []

    @dg.asset(
        key=exhibit_key(study.name, name),
        deps=[*(dg.AssetKey(["panels", panel]) for panel in panels), *(gate_key(panel) for panel in panels), *behind],
        group_name=study.name,
        kinds={"python", "plot" if exhibit.is_drawn else "table"},
        owners=OWNERS,
        description=f"{study.title.en}. {exhibit.title.en}.{_pictured(study.name, name) if exhibit.is_drawn else ''}",
    )
    def asset(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        candidate, store = candidate_of_this_run(paths), store_of_this_run(paths)
        computation = exhibits.computation(paths, candidate, study, name)
        second = side_by_side.of_run(context.run_id, lambda: _begin_second(paths, context, candidate))
        if second and not second.mine((study.name, name)):
            store.was_made(computation.name, store.version(computation))
        version, folder = store.keep(computation)
        counts = pd.read_parquet(folder / f"{name}.estimates.parquet")["status"].value_counts()
        picture = folder / f"{name}.png"
        return dg.MaterializeResult(
            data_version=dg.DataVersion(version),
            metadata={
                **({"figure": dg.MetadataValue.md(_inline(picture))} if picture.exists() else {}),
                "table": dg.MetadataValue.md((folder / f"{name}.md").read_text(encoding="utf-8")),
                **({"SAMPLE DATA": "no finding"} if exhibits.is_sample(paths, study) else {}),
                **{f"terms {status}": int(count) for status, count in counts.items()},
            },
        )

    return asset


def _begin_second(paths: Paths, context: dg.AssetExecutionContext, candidate: Path) -> SecondProcess | None:
    """A process for the exhibits of this run that are not kept; none for a few."""
    store = store_of_this_run(paths)
    selected = context.job_def.asset_layer.selected_asset_keys
    every = [(study, one.name) for study in overlay.studies(paths) for one in study.exhibits]
    missing = [
        (study.name, name)
        for study, name in every
        if exhibit_key(study.name, name) in selected
        and store.is_missing(exhibits.computation(paths, candidate, study, name))
    ]
    return SecondProcess(paths, candidate, missing, forced()) if len(missing) >= WORTH_WHILE else None


def _pictured(study: str, name: str) -> str:
    """The picture of the last publication, for a description; Dagster shows what metadata hold only on a click."""
    whole = web_page.picture(study, name)
    about = "Picture of the last publication, on the page of pilotcity ui"
    return f"\n\n[![{about}]({whole}?{web_page.SMALL})]({whole})"


def _inline(image: Path) -> str:
    """A picture as Markdown that needs no file beside it."""
    return f"![figure](data:image/png;base64,{base64.b64encode(image.read_bytes()).decode()})"
