"""An asset for each table and figure of a study, computed from the candidate's Parquet alone."""

import base64
import pickle
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg
import pandas as pd

from dagster_project import drawn, overlay, publication
from dagster_project.assets.common import OWNERS
from dagster_project.paths import Paths

if TYPE_CHECKING:
    from analysis.studies.records import Study
    from analysis.studies.result import ExhibitResult

CANDIDATE = dg.AssetKey(["publication", "candidate"])


def is_sample(paths: Paths, study: "Study") -> bool:
    """Whether a study's panel comes from the sample world; one from a file never does."""
    return paths.is_sample and study.panel is None


def exhibit_key(study: str, exhibit: str) -> dg.AssetKey:
    return dg.AssetKey([study, exhibit])


def study_assets(paths: Paths, studies: list["Study"]) -> list[dg.AssetsDefinition]:
    """Every exhibit of every study."""
    return [_exhibit(paths, study, exhibit.name) for study in studies for exhibit in study.exhibits]


def candidate_of_this_run(paths: Paths) -> Path:
    """The candidate that the run of the current step goes on with; a run repeated from its failure is the same run."""
    return publication.open_candidate(paths, this_run())


def this_run() -> str:
    """The run of the current step, or the one that it repeats."""
    run = dg.AssetExecutionContext.get().run
    return run.root_run_id or run.run_id


def read_panel(candidate: Path, study: str) -> pd.DataFrame:
    """A study's panel from the candidate."""
    return pd.read_parquet(candidate / "data" / "panels" / f"{study}.parquet")


def result_file(candidate: Path, study: str, exhibit: str) -> Path:
    """Where an exhibit's result waits for the site, within the run."""
    folder = candidate / publication.WORK / study
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{exhibit}.pickle"


def compute(
    paths: Paths, study: "Study", exhibit: str, panel: pd.DataFrame
) -> tuple["ExhibitResult", pd.DataFrame | None]:
    """An exhibit's result and, on sample data, what its models ought to find."""
    from analysis.studies import run

    cities = overlay.cities(paths, dtype={"city_code": str})
    panels = _other_panels(paths, study, exhibit)
    result = run.run_exhibit(study, exhibit, panel, is_sample=is_sample(paths, study), cities=cities, panels=panels)
    return result, _truth(paths, study, exhibit, panel, cities)


def _other_panels(paths: Paths, study: "Study", exhibit: str) -> dict[str, pd.DataFrame]:
    """The panels over other years that the exhibit's models name, as far as the candidate has them."""
    named = {model.panel for model in study.exhibit(exhibit).models if model.panel}
    behind = drawn.reads(study, [exhibit])
    if not named and not behind:
        return {}
    candidate = candidate_of_this_run(paths)
    held = [name for name in sorted(named) if (candidate / "data" / "panels" / f"{name}.parquet").exists()]
    found = {name: read_panel(candidate, name) for name in held}
    return found | (drawn.city_year(candidate, study) if behind else {})


def _exhibit(paths: Paths, study: "Study", name: str) -> dg.AssetsDefinition:
    exhibit = study.exhibit(name)
    figure = exhibit.is_drawn

    @dg.asset(
        key=exhibit_key(study.name, name),
        deps=[CANDIDATE],
        group_name=study.name,
        kinds={"python", "plot" if figure else "table"},
        owners=OWNERS,
        description=f"{study.title.en}. {exhibit.title.en}.",
    )
    def asset() -> dg.MaterializeResult:
        from analysis.reporting import figures, tables
        from analysis.studies.kinds import KINDS
        from analysis.studies.published import published

        candidate = candidate_of_this_run(paths)
        folder = candidate / "exhibits" / study.name
        folder.mkdir(parents=True, exist_ok=True)
        kind = KINDS[exhibit.kind]
        if kind.listed:
            # before the panel, and with it any outcome, is read
            kind.listed(exhibit).to_csv(folder / f"{name}.specifications.csv", index=False, lineterminator="\n")
        result, truth = compute(paths, study, name, read_panel(candidate, study.name))
        written = tables.write_table(result, study, folder, printed=published(study.name), truth=truth)
        pictures = figures.write_figure(result, study, folder) if figure else {}
        result.estimates.to_parquet(folder / f"{name}.estimates.parquet", index=False)
        if kind.fills:
            table, rows = kind.fills
            rows(result).to_parquet(folder / f"{name}.{table}.parquet", index=False)
        result_file(candidate, study.name, name).write_bytes(pickle.dumps((result, truth)))
        counts = result.estimates["status"].value_counts()
        return dg.MaterializeResult(
            metadata={
                **({"SAMPLE DATA": "no finding"} if is_sample(paths, study) else {}),
                **{f"terms {status}": int(count) for status, count in counts.items()},
                "table": dg.MetadataValue.md(written["md"].read_text(encoding="utf-8")),
                **({"figure": dg.MetadataValue.md(_inline(pictures["png"]))} if pictures else {}),
            }
        )

    return asset


def _truth(
    paths: Paths, study: "Study", exhibit: str, panel: pd.DataFrame, cities: pd.DataFrame
) -> pd.DataFrame | None:
    """What the exhibit's models ought to find, in the sample world; None for real data."""
    ledger = paths.raw / "_truth" / "truth.parquet"
    if not is_sample(paths, study) or not ledger.exists():
        return None
    from analysis.studies.truth import true_effects

    return true_effects(study, study.exhibit(exhibit), panel, pd.read_parquet(ledger), cities)


def _inline(image: Path) -> str:
    """A picture as Markdown that needs no file beside it."""
    return f"![figure](data:image/png;base64,{base64.b64encode(image.read_bytes()).decode()})"
