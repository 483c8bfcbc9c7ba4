"""An asset for each panel that comes from a file, and the checks behind which it reaches the candidate."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import dagster as dg

from dagster_project import checks, file_panels
from dagster_project.assets.common import OWNERS
from dagster_project.paths import Paths

if TYPE_CHECKING:
    import pandas as pd

    from analysis.studies.records import Study
    from expectations.runner import Rule

GROUP = "panels"


def panel_assets(paths: Paths, studies: Sequence["Study"]) -> list[dg.AssetsDefinition]:
    """The panel of every study that names a file."""
    return [_panel(paths, study) for study in studies if study.panel]


def _panel(paths: Paths, study: "Study") -> dg.AssetsDefinition:
    assert study.panel is not None
    declared = study.panel

    @dg.asset(
        key=["panels", study.name],
        group_name=GROUP,
        kinds={"python", "parquet"},
        owners=OWNERS,
        description=(
            f"{study.title.en}. One row for each {declared.unit} and {declared.time} of {declared.file}, with the "
            "first treated period, the treatment and the study's variables."
        ),
    )
    def asset() -> dg.MaterializeResult:
        made = file_panels.make(paths, study)
        shown = made.panel.head(5).iloc[:, :12]
        return dg.MaterializeResult(
            metadata={
                "dagster/row_count": len(made.panel),
                "dagster/column_schema": dg.TableSchema(
                    [dg.TableColumn(str(column), str(kind)) for column, kind in made.panel.dtypes.items()]
                ),
                "preview": dg.MetadataValue.md(shown.to_markdown(index=False)),
                "set aside": len(made.aside),
                "notes": dg.MetadataValue.md("\n\n".join(made.notes) or "none"),
            }
        )

    return asset


def panel_checks(paths: Paths, studies: Sequence["Study"]) -> list[dg.AssetChecksDefinition]:
    """A blocking and a warning check on each of these panels, and one of what has moved."""
    return [_check(paths, study) for study in studies if study.panel]


def _check(paths: Paths, study: "Study") -> dg.AssetChecksDefinition:
    assert study.panel is not None
    keys = (study.panel.unit, study.panel.time)

    def frame(connection: Any) -> "pd.DataFrame":
        from expectations import panels

        return panels.with_checks(file_panels.panel(paths, study.name), study.treatment, keys)

    def rules(frame: "pd.DataFrame") -> "list[Rule]":
        from expectations import panels

        measured = [v.source for v in study.variables if v.source in frame and frame[v.source].notna().any()]
        used = {*study.outcomes, *study.controls}
        return panels.file_panel(keys=keys, treatment=study.treatment, measured=[m for m in measured if m in used])

    about = f"One row for each {keys[0]} and {keys[1]} of the study {study.name}: {study.title.en}."
    return checks.definition(
        paths,
        study.name,
        {"": dg.AssetKey(["panels", study.name])},
        [checks.Suite(f"panels.{study.name}", about, keys, frame, rules)],
        drift=[checks.drift_suite(paths, study.name, keys, lambda connection: file_panels.panel(paths, study.name))],
    )
