"""An asset for the audit of each study: what a referee would raise, and what of the paper comes out again."""

import hashlib
import json
import pickle
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg

from dagster_project import agreement, overlay, publication
from dagster_project.assets.agreement import AGREEMENT
from dagster_project.assets.common import OWNERS
from dagster_project.assets.publish import ESTIMATES
from dagster_project.assets.studies import candidate_of_this_run, store_of_this_run
from dagster_project.audit_inputs import audit_inputs
from dagster_project.exhibits import is_sample
from dagster_project.paths import Paths
from dagster_project.store import Computation, Content, Store

if TYPE_CHECKING:
    from analysis.audit import Audit, Replication
    from analysis.studies.records import Study


#: Findings and replication, for the report.
RESULT = "result.pickle"


def audit_key(study: str) -> dg.AssetKey:
    return dg.AssetKey([study, "audit"])


def audit_assets(paths: Paths, studies: list["Study"]) -> list[dg.AssetsDefinition]:
    """The audit of every study."""
    return [_audit(paths, study) for study in studies]


def judged(paths: Paths, candidate: Path, study: "Study") -> tuple["Audit", "Replication"]:
    """The audit and the replication report of a study, made now from a publication or a candidate."""
    from analysis.audit import audit, replicate

    everything = audit_inputs(paths, candidate, study)
    return audit(everything), replicate(everything)


def kept_audit(paths: Paths, store: Store, candidate: Path, study: "Study") -> tuple[str, Path]:
    """The version and the folder of a study's audit: RESULT and the findings as JSON."""
    return store.keep(audit_computation(paths, candidate, study))


def place_audit(candidate: Path, study: "Study", version: str, folder: Path) -> None:
    """Put a study's findings where the candidate publishes them."""
    publication.record(candidate, {f"audit/{study.name}": version})
    (candidate / "audit").mkdir(exist_ok=True)
    shutil.copyfile(folder / f"{study.name}.json", candidate / "audit" / f"{study.name}.json")


def audit_computation(paths: Paths, candidate: Path, study: "Study") -> Computation:
    """An audit: the whole specification, what is printed, the panels, the study's estimates, lists and city_year."""
    panels = [candidate / "data" / "panels" / f"{name}.parquet" for name in (study.name, *study.other_panels)]
    lists = overlay.policy_files(paths)
    named = sorted({study.policy, *(policy.policy for policy in study.policies)} & set(lists))
    parts = [candidate / "exhibits" / study.name / f"{one.name}.estimates.parquet" for one in study.exhibits]
    city_year = candidate / "data" / "panels" / "city_year.parquet"
    opinions = agreement.read(candidate, study.name)

    def make(folder: Path) -> None:
        found, report = judged(paths, candidate, study)
        (folder / RESULT).write_bytes(pickle.dumps((found, report)))
        text = json.dumps(found.as_dict() | {"replication": report.as_list()}, indent=1, ensure_ascii=False)
        (folder / f"{study.name}.json").write_text(text + "\n", encoding="utf-8")

    return Computation(
        name=f"audit/{study.name}",
        inputs={
            "study": study,
            "printed": Content(study.file.parent / "published" / f"{study.name}.yaml"),
            "panels": [Content(panel) for panel in panels],
            "estimates": [Content(part) for part in parts],
            "city_year": Content(city_year) if study.panel is None else None,
            "agreement": None if opinions is None else hashlib.sha256(opinions.to_csv().encode()).hexdigest(),
            "lists": [Content(lists[name]) for name in named],
            "cities": hashlib.sha256(overlay.cities_csv(paths)).hexdigest(),
            "is_sample": is_sample(paths, study),
        },
        modules=("analysis.audit", "dagster_project.audit_inputs"),
        without=("analysis.studies.kinds",),
        make=make,
    )


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
        from analysis.audit import SEVERITIES

        candidate = candidate_of_this_run(paths)
        version, folder = kept_audit(paths, store_of_this_run(paths), candidate, study)
        place_audit(candidate, study, version, folder)
        found, report = pickle.loads((folder / RESULT).read_bytes())
        table = found.table[["severity", "title", "exhibit", "model", "variable", "evidence"]]
        return dg.MaterializeResult(
            data_version=dg.DataVersion(version),
            metadata={
                **({"SAMPLE DATA": "no finding about real cities"} if is_sample(paths, study) else {}),
                **{f"{severity}s": len(found.by_severity(severity)) for severity in SEVERITIES},
                "findings": dg.MetadataValue.md(table.to_markdown(index=False) if len(table) else "None."),
                "reproduced exactly": len(report.of("reproduced exactly")),
            },
        )

    return asset
