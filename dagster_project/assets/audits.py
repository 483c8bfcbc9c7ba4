"""An asset for the audit of each study: what a referee would raise, and what of the paper comes out again."""

import json
import pickle
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg

from dagster_project.assets.agreement import AGREEMENT
from dagster_project.assets.common import OWNERS
from dagster_project.assets.publish import ESTIMATES
from dagster_project.assets.studies import candidate_of_this_run, result_file
from dagster_project.audit_inputs import audit_inputs
from dagster_project.paths import Paths

if TYPE_CHECKING:
    from analysis.audit import Audit, Replication
    from analysis.studies.records import Study


def audit_key(study: str) -> dg.AssetKey:
    return dg.AssetKey([study, "audit"])


def audit_assets(paths: Paths, studies: list["Study"]) -> list[dg.AssetsDefinition]:
    """The audit of every study."""
    return [_audit(paths, study) for study in studies]


def judged(paths: Paths, candidate: Path, study: "Study") -> tuple["Audit", "Replication"]:
    """The audit and the replication report of a study, as this run made them or, without a run, made now."""
    stored = result_file(candidate, study.name, "audit")
    if stored.exists():
        return pickle.loads(stored.read_bytes())
    from analysis.audit import audit, replicate

    everything = audit_inputs(paths, candidate, study)
    return audit(everything), replicate(everything)


def _audit(paths: Paths, study: "Study") -> dg.AssetsDefinition:
    @dg.asset(
        key=audit_key(study.name),
        deps=[ESTIMATES, AGREEMENT],
        group_name="audits",
        kinds={"python", "table"},
        owners=OWNERS,
        description=(
            f"{study.title.en}. What a referee would raise: general rules on the specification, the panel, the "
            "estimates and the printed figures, each finding with its evidence; and which printed numbers come out "
            "again, and why."
        ),
    )
    def asset() -> dg.MaterializeResult:
        from analysis.audit import SEVERITIES, audit, replicate

        candidate = candidate_of_this_run(paths)
        everything = audit_inputs(paths, candidate, study)
        found, report = audit(everything), replicate(everything)
        result_file(candidate, study.name, "audit").write_bytes(pickle.dumps((found, report)))
        folder = candidate / "audit"
        folder.mkdir(exist_ok=True)
        text = json.dumps(found.as_dict() | {"replication": report.as_list()}, indent=1, ensure_ascii=False)
        (folder / f"{study.name}.json").write_text(text + "\n", encoding="utf-8")
        table = found.table[["severity", "title", "exhibit", "model", "variable", "evidence"]]
        return dg.MaterializeResult(
            metadata={
                **({"SAMPLE DATA": "no finding about real cities"} if everything.is_sample else {}),
                **{f"{severity}s": len(found.by_severity(severity)) for severity in SEVERITIES},
                "findings": dg.MetadataValue.md(table.to_markdown(index=False) if len(table) else "None."),
                "reproduced exactly": len(report.of("reproduced exactly")),
            }
        )

    return asset
