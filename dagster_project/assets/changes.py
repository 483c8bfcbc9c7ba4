"""An asset for what changed since the publication before, and why estimates moved."""

from typing import TYPE_CHECKING

import dagster as dg

from dagster_project import comparing
from dagster_project.assets.audits import audit_key
from dagster_project.assets.common import OWNERS
from dagster_project.assets.publish import ESTIMATES
from dagster_project.assets.studies import CANDIDATE, candidate_of_this_run
from dagster_project.paths import Paths

if TYPE_CHECKING:
    from analysis.studies.records import Study

CHANGES = dg.AssetKey(["publication", "changes"])


def changes(paths: Paths, studies: list["Study"]) -> dg.AssetsDefinition:
    @dg.asset(
        key=CHANGES,
        deps=[CANDIDATE, ESTIMATES, *(audit_key(study.name) for study in studies)],
        group_name="changes",
        kinds={"python", "parquet"},
        owners=OWNERS,
        description=(
            "What changed since the publication before: files, cells, values of panels, estimates, findings, checks; "
            "and each headline estimate's change split over what brought it about. quality.changes and quality.checks."
        ),
    )
    def asset(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        made = comparing.write(paths, candidate_of_this_run(paths), studies)
        files = ", ".join(made.loc[made["part"].eq("file"), "file"])
        if files:
            context.instance.add_run_tags(context.run_id, {"pilotcity/files": files[:200]})
        parts = made["part"].value_counts()
        moved = made[made["part"].eq("estimate") & made["headline"].fillna(False)]
        shown = moved[["study", "item", "model", "term", "change", "old_text", "new_text"]]
        counts = {name: int(parts.get(name, 0)) for name in ("file", "cell", "value", "estimate", "finding", "check")}
        return dg.MaterializeResult(
            metadata={
                "in a line": comparing.line(made),
                **{f"{name}s changed": count for name, count in counts.items()},
                "headline estimates": dg.MetadataValue.md(
                    shown.to_markdown(index=False) if len(shown) else "none moved"
                ),
                "dagster/row_count": len(made),
            }
        )

    return asset
