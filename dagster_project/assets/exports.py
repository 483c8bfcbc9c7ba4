"""What a publication hands out beside its site: the data dictionary, the descriptor of its Parquet, a zip a study."""

from typing import TYPE_CHECKING

import dagster as dg
import pandas as pd

from dagster_project import downloads
from dagster_project.assets.changes import CHANGES
from dagster_project.assets.common import OWNERS
from dagster_project.assets.publish import ESTIMATES
from dagster_project.assets.studies import CANDIDATE, candidate_of_this_run
from dagster_project.paths import Paths

if TYPE_CHECKING:
    from analysis.studies.spec import Study

GROUP = "downloads"
DICTIONARY = dg.AssetKey(["publication", "dictionary"])
EXPORTS = dg.AssetKey(["publication", "exports"])


def export_assets(paths: Paths, studies: list["Study"]) -> list[dg.AssetsDefinition]:
    """The dictionary, and what is made from it and from the estimates."""
    return [_dictionary(paths, studies), _exports(paths, studies)]


def _dictionary(paths: Paths, studies: list["Study"]) -> dg.AssetsDefinition:
    @dg.asset(
        key=DICTIONARY,
        deps=[CANDIDATE],
        group_name=GROUP,
        kinds={"parquet"},
        owners=OWNERS,
        description=(
            "panels.data_dictionary with every column of every panel: label, unit, definition, source, share filled in "
            "and range; comments of the published DuckDB file come from it."
        ),
    )
    def asset() -> dg.MaterializeResult:
        table = downloads.complete_dictionary(paths, candidate_of_this_run(paths), studies)
        by_panel = table.groupby("study", sort=False).size().rename("columns").reset_index()
        return dg.MaterializeResult(
            metadata={
                "dagster/row_count": len(table),
                "columns by panel": dg.MetadataValue.md(by_panel.to_markdown(index=False)),
            }
        )

    return asset


def _exports(paths: Paths, studies: list["Study"]) -> dg.AssetsDefinition:
    @dg.asset(
        key=EXPORTS,
        deps=[DICTIONARY, ESTIMATES, CHANGES],
        group_name=GROUP,
        kinds={"file"},
        owners=OWNERS,
        description=(
            "datapackage.json beside the Parquet; each study's panel for Stata, as CSV and Parquet, its citation, and "
            "one zip from which `pilotcity replicate` computes every estimate again."
        ),
    )
    def asset() -> dg.MaterializeResult:
        candidate = candidate_of_this_run(paths)
        dictionary = pd.read_parquet(candidate / "data" / "panels" / "data_dictionary.parquet")
        downloads.write_descriptor(candidate)
        written = [downloads.export_study(paths, candidate, study, dictionary) for study in studies]
        size = sum(path.stat().st_size for path in (candidate / downloads.FOLDER).iterdir())
        return dg.MaterializeResult(metadata={"files": sum(map(len, written)), "megabytes": round(size / 1e6, 1)})

    return asset
