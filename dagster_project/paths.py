"""Where things are. Committed inputs sit beside the code; everything generated moves with PILOTCITY_DATA."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DBT_PROJECT = ROOT / "dbt"
CATALOGUE = ROOT / "data" / "catalogue"
CONTRACTS = ROOT / "data" / "contracts"
POLICIES = ROOT / "data" / "policies"
REFERENCE = ROOT / "data" / "reference"
DOCS = ROOT / "docs"
LOCK = ROOT / "requirements.lock"

#: Sample world -> its folder below the data folder.
SAMPLES = {"base": "sample", "spillovers": "sample_spillovers"}
#: Folders whose content decides a result, besides the raw files.
CODE = (
    *("analysis", "dagster_project", "dbt", "expectations", "docs"),
    *("data/catalogue", "data/contracts", "data/policies", "data/reference"),
)


@dataclass(frozen=True)
class Paths:
    """The folders of one installation.

    Attributes
    ----------
    data : everything generated (warehouse, publications, reports, sample, home).
    raw : files as their publishers released them; never written to.
    is_sample : whether ``raw`` is the sample world that the project writes itself.
    own : what a user adds (contracts, indicators, variables, policies, studies, panels), laid over the built-in parts.
    studies : names of the studies that are computed; none stands for all of them.
    """

    data: Path
    raw: Path
    is_sample: bool
    own: Path = field(default_factory=lambda: Path(os.environ.get("PILOTCITY_OWN") or ROOT / "data" / "own").resolve())
    studies: tuple[str, ...] = ()

    @classmethod
    def from_environment(cls) -> Paths:
        """PILOTCITY_DATA, PILOTCITY_RAW and PILOTCITY_OWN, relative to where the command was called; defaults inside
        the project. PILOTCITY_STUDIES names the studies that are computed, separated by commas.

        Without PILOTCITY_RAW the raw folder is data/raw when it holds anything, else the sample world: the base one,
        or with PILOTCITY_SAMPLE=spillovers the one in which the AI zones' effects reach their neighbours.
        """
        world = os.environ.get("PILOTCITY_SAMPLE") or "base"
        if world not in SAMPLES:
            raise ValueError(f"PILOTCITY_SAMPLE is {world!r}; the sample worlds are {' and '.join(SAMPLES)}.")
        data = Path(os.environ.get("PILOTCITY_DATA") or ROOT / "data").resolve()
        if data.exists() and not data.is_dir():
            raise ValueError(
                f"PILOTCITY_DATA names {data}, which is a file; name a folder, which is made where it is not."
            )
        studies = names(os.environ.get("PILOTCITY_STUDIES") or "")
        named = os.environ.get("PILOTCITY_RAW")
        if named:
            raw = Path(named).resolve()
            return cls(data, raw, raw in {data / folder for folder in SAMPLES.values()}, studies=studies)
        raw = data / "raw"
        if raw.is_dir() and any(path.is_file() and not path.name.startswith(".") for path in raw.rglob("*")):
            return cls(data, raw, is_sample=False, studies=studies)
        return cls(data, data / SAMPLES[world], is_sample=True, studies=studies)

    @property
    def warehouse(self) -> Path:
        return self.data / "warehouse" / "pilotcity.duckdb"

    @property
    def publications(self) -> Path:
        return self.data / "publications"

    @property
    def candidate(self) -> Path:
        return self.publications / "candidate"

    @property
    def results(self) -> Path:
        """What the exhibits of the latest publication were drawn from, for a run that makes only some of them anew."""
        return self.data / "warehouse" / "results"

    @property
    def published(self) -> Path:
        return self.data / "published"

    @property
    def reports(self) -> Path:
        return self.data / "reports"

    @property
    def refresh_failed(self) -> Path:
        """What every page shows of a later refresh that failed; absent when none did."""
        return self.data / "refresh_failed.html"

    @property
    def verified(self) -> Path:
        """What the report shows of when its publication was last verified; kept outside of what is verified."""
        return self.data / "verified.html"

    @property
    def home(self) -> Path:
        """DAGSTER_HOME: run history, logs, the instance's settings."""
        return self.data / "home"

    @property
    def dbt_target(self) -> Path:
        return self.data / "warehouse" / "dbt"

    @property
    def dbt_models(self) -> Path:
        """dbt models that follow from the catalogue and the studies."""
        return self.data / "warehouse" / "models"

    @property
    def lake(self) -> Path:
        """What passes between DuckDB and Spark, as Parquet; a cluster's machines must all see it."""
        return self.data / "warehouse" / "spark"

    @property
    def expectations_store(self) -> Path:
        """Outcomes of checks; a choice of studies has outcomes of its own."""
        chosen = hashlib.sha256(",".join(self.studies).encode()).hexdigest()[:8]
        return self.data / "warehouse" / (f"expectations_{chosen}" if self.studies else "expectations")

    @property
    def run_lock(self) -> Path:
        return self.data / "warehouse" / "run.lock"


def names(text: str) -> tuple[str, ...]:
    """Names separated by commas, each once, in alphabetical order."""
    return tuple(sorted({name.strip() for name in text.split(",") if name.strip()}))


def shown(path: Path) -> str:
    """A path as a person at this prompt would type it."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
