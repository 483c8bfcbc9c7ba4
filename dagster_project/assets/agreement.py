"""An asset for the second opinion on every published number. No table waits for it; the site and the audit do."""

from typing import TYPE_CHECKING, Any

import dagster as dg
import pandas as pd

from dagster_project import agreement
from dagster_project.assets.common import OWNERS
from dagster_project.assets.publish import ESTIMATES
from dagster_project.assets.studies import candidate_of_this_run
from dagster_project.paths import Paths
from dagster_project.side_by_side import WORTH_WHILE, SecondProcess

if TYPE_CHECKING:
    from analysis.studies.records import Study

AGREEMENT = dg.AssetKey(["publication", "agreement"])


def agreement_asset(paths: Paths, studies: list["Study"]) -> dg.AssetsDefinition:
    """Every published number beside what other engines make of it."""

    @dg.asset(
        key=AGREEMENT,
        deps=[ESTIMATES],
        group_name="audits",
        kinds={"python", "parquet"},
        owners=OWNERS,
        description=(
            "estimates.agreement: every published number computed again by another package from the same panel, with "
            "the largest relative difference, and where there is no second engine, why. Exhibits whose inputs are "
            "unchanged are not asked again."
        ),
    )
    def asset(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        from analysis.agreement.exhibit import as_table
        from analysis.agreement.line import by_number

        folder = candidate_of_this_run(paths)
        missing = agreement.unanswered(paths, folder, studies)
        second = None
        if len(missing) >= WORTH_WHILE:
            second = SecondProcess(paths, folder, missing, afresh=False, work="agreement")
        said: dict[str, Any] = {"tell": context.log.debug, **({"mine": second.mine} if second else {})}
        try:
            parts = [agreement.of_study(paths, folder, study, **said) for study in studies]
        finally:
            if second:
                second.end()
        agreement.forget_others(paths)
        held = [part for part in parts if len(part)]
        table = pd.concat(held, ignore_index=True) if held else as_table([])
        target = folder / agreement.FILE
        target.parent.mkdir(parents=True, exist_ok=True)
        table.to_parquet(target, index=False)
        counts = pd.concat([by_number(part).rename(part["study"].iloc[0]) for part in held], axis=1) if held else table
        shown = counts.apply(pd.Series.value_counts).fillna(0).astype(int) if held else counts
        parted = table[table["verdict"].eq("differs")]
        return dg.MaterializeResult(
            metadata={
                "dagster/row_count": len(table),
                "numbers by verdict": dg.MetadataValue.md(shown.to_markdown()),
                "differ": dg.MetadataValue.md(parted.to_markdown(index=False) if len(parted) else "None."),
            }
        )

    return asset
