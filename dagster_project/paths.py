"""Where things are. Committed inputs sit beside the code; everything generated moves with PILOTCITY_DATA."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DBT_PROJECT = ROOT / "dbt"
CONTRACTS = ROOT / "data" / "contracts"
POLICIES = ROOT / "data" / "policies"
REFERENCE = ROOT / "data" / "reference"
LOCK = ROOT / "requirements.lock"

#: Folders whose content decides a result, besides the raw files.
CODE = ("analysis", "dagster_project", "dbt", "expectations", "data/contracts", "data/policies", "data/reference")


@dataclass(frozen=True)
class Paths:
    """The folders of one installation.

    Attributes
    ----------
    data : everything generated (warehouse, publications, reports, sample, home).
    raw : files as their publishers released them; never written to.
    is_sample : whether ``raw`` is the sample world that the project writes itself.
    """

    data: Path
    raw: Path
    is_sample: bool

    @classmethod
    def from_environment(cls) -> Paths:
        """PILOTCITY_DATA and PILOTCITY_RAW, relative to where the command was called; defaults inside the project.

        Without PILOTCITY_RAW the raw folder is data/raw when it holds anything, else the sample world.
        """
        data = Path(os.environ.get("PILOTCITY_DATA") or ROOT / "data").resolve()
        named = os.environ.get("PILOTCITY_RAW")
        if named:
            raw = Path(named).resolve()
            return cls(data, raw, is_sample=raw == data / "sample")
        own = data / "raw"
        if own.is_dir() and any(path.is_file() and not path.name.startswith(".") for path in own.rglob("*")):
            return cls(data, own, is_sample=False)
        return cls(data, data / "sample", is_sample=True)

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
    def published(self) -> Path:
        return self.data / "published"

    @property
    def reports(self) -> Path:
        return self.data / "reports"

    @property
    def home(self) -> Path:
        """DAGSTER_HOME: run history, logs, the instance's settings."""
        return self.data / "home"

    @property
    def dbt_target(self) -> Path:
        return self.data / "warehouse" / "dbt"

    @property
    def expectations_store(self) -> Path:
        return self.data / "warehouse" / "expectations"

    @property
    def run_lock(self) -> Path:
        return self.data / "warehouse" / "run.lock"


def shown(path: Path) -> str:
    """A path as a person at this prompt would type it."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
