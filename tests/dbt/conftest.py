"""A warehouse of a few cities from workbooks written here: the project's own loading, then dbt. What must come of it
stands in the tests."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import dagster as dg
import duckdb
import pandas as pd
import pytest

from analysis import catalogue
from analysis.studies import spec
from dagster_project import models
from dagster_project.assets import efficiency, sources
from dagster_project.ingest import contracts
from dagster_project.ingest.refresh import refresh
from dagster_project.paths import DBT_PROJECT, Paths
from dagster_project.resources import DBT, dbt_environment, warehouse


@dataclass(frozen=True)
class Built:
    """A warehouse in a folder of its own; ``variables`` of the environment go to every dbt command."""

    paths: Paths
    variables: Mapping[str, str] = field(default_factory=dict)

    def load(self, found: dict[str, contracts.Contract]) -> None:
        """Raw files and reference tables, by the functions that a run uses."""
        with warehouse(self.paths) as connection:
            for contract in found.values():
                refresh(connection, self.paths.raw, contract, lambda line: None)
        models.write(self.paths, catalogue.load(), [spec.load(path) for path in spec.catalogue().values()])
        loaders = [
            *(sources.reference(self.paths, found), sources.policies(self.paths), sources.studies(self.paths)),
            *efficiency.score_assets(self.paths, []),
        ]
        with dg.DagsterInstance.ephemeral() as instance:
            quiet = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
            assert dg.materialize(loaders, instance=instance, run_config=quiet).success

    def dbt(self, *arguments: str, succeeds: bool = True) -> str:
        """One dbt command; returns what it printed."""
        done = subprocess.run(
            [
                *(DBT, *arguments, f"--profiles-dir={DBT_PROJECT}", f"--target-path={self.paths.dbt_target}"),
                f"--log-path={self.paths.dbt_target / 'logs'}",
            ],
            cwd=DBT_PROJECT,
            env={**os.environ, **dbt_environment(self.paths), **self.variables},
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode == 0) is succeeds, done.stdout + done.stderr
        return done.stdout

    def query(self, sql: str) -> pd.DataFrame:
        with duckdb.connect(str(self.paths.warehouse), read_only=True) as connection:
            return connection.execute(sql).df()

    def write(self, table: str, frame: pd.DataFrame) -> None:
        """Put a frame in the place of a table."""
        with duckdb.connect(str(self.paths.warehouse)) as connection:
            connection.execute(f"create schema if not exists {table.split('.')[0]}")
            connection.register("frame", frame)
            connection.execute(f"create or replace table {table} as select * from frame")


@pytest.fixture(scope="session")
def make_warehouse(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Built]:
    """Makes an empty warehouse beside an empty raw folder."""

    def make(**variables: str) -> Built:
        folder = tmp_path_factory.mktemp("data")
        (folder / "raw").mkdir()
        return Built(Paths(folder, folder / "raw", is_sample=False), variables)

    return make


@pytest.fixture(scope="session")
def without_files(make_warehouse: Callable[..., Built]) -> tuple[Built, str]:
    """A warehouse built up to city_year from no raw file at all, and what dbt said, its unit tests among it."""
    built = make_warehouse(PILOTCITY_UNIT_TESTS="1")
    built.load({})
    return built, built.dbt("build", "--select", "+city_year", "--exclude-resource-types", "test")
