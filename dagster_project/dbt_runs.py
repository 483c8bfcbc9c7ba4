"""The dbt project as Dagster runs it. Apart from `resources`, for to import dagster_dbt takes seconds."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Collection
from functools import cached_property
from importlib.metadata import version
from typing import TYPE_CHECKING

from dagster_dbt import DagsterDbtTranslatorSettings, DbtCliResource, DbtProject
from packaging.version import Version

from dagster_project import models, state
from dagster_project.fingerprint import hash_files, hash_folder
from dagster_project.paths import DBT_PROJECT, ROOT, Paths
from dagster_project.resources import DBT, DUCKDB_TARGET, dbt_environment, exclusive

if TYPE_CHECKING:
    from analysis.catalogue import Catalogue
    from analysis.studies.records import Study


class OfflineDbt(DbtCliResource):
    """dbt without the question to a package index that `dbt --version` asks."""

    @cached_property
    def _cli_version(self) -> Version:
        return Version(version("dbt-core"))


def dbt_project(paths: Paths, catalogue: Catalogue, studies: Collection[Study]) -> DbtProject:
    """The dbt project with what follows from the catalogue and the studies, and a manifest that matches its files."""
    os.environ.update(dbt_environment(paths))
    project = DbtProject(
        project_dir=DBT_PROJECT, profiles_dir=DBT_PROJECT, target_path=paths.dbt_target, target=DUCKDB_TARGET
    )
    stamp = paths.dbt_target / "manifest.sha256"
    manifest = paths.dbt_target / "manifest.json"
    paths.dbt_target.mkdir(parents=True, exist_ok=True)
    with exclusive(paths.dbt_target / ".lock"):
        models.write(paths, catalogue, studies)
        current = hash_folder(DBT_PROJECT) + hash_folder(paths.dbt_models)
        if not manifest.exists() or state.read_text(stamp) != current + hash_files([manifest], manifest.parent):
            # what dbt keeps from one parse to the next may be torn as well
            (paths.dbt_target / "partial_parse.msgpack").unlink(missing_ok=True)
            folders = [f"--profiles-dir={DBT_PROJECT}", f"--target-path={paths.dbt_target}"]
            folders.append(f"--log-path={paths.dbt_target / 'logs'}")
            parsed = subprocess.run(
                [DBT, "parse", "--quiet", "--target", DUCKDB_TARGET, *folders],
                cwd=DBT_PROJECT,
                capture_output=True,
                text=True,
                check=False,
            )
            if parsed.returncode:
                raise RuntimeError(f"dbt cannot parse {DBT_PROJECT.relative_to(ROOT)}:\n{parsed.stdout}{parsed.stderr}")
            state.sync(manifest)
            state.write(stamp, current + hash_files([manifest], manifest.parent))
    return project


def dbt_resource(project: DbtProject) -> OfflineDbt:
    """dbt on the command line, quiet and without telemetry."""
    return OfflineDbt(
        project_dir=project,  # type: ignore[arg-type]
        profiles_dir=str(DBT_PROJECT),
        target=DUCKDB_TARGET,
        dbt_executable=DBT,
        global_config_flags=["--no-use-colors", "--log-path", str(project.target_path / "logs")],
    )


TRANSLATOR_SETTINGS = DagsterDbtTranslatorSettings(
    enable_asset_checks=True, enable_source_tests_as_checks=True, enable_code_references=True
)
