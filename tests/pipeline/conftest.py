"""Whole runs by the command line, in folders of their own. What must come of them stands in the tests."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pandas as pd
import pytest

from dagster_project.paths import ROOT, Paths


@dataclass(frozen=True)
class Finished:
    """A command that has ended."""

    code: int
    out: str
    err: str
    seconds: float


@dataclass(frozen=True)
class Installation:
    """A data folder, the raw folder it reads, and what its first run printed."""

    paths: Paths
    environment: Mapping[str, str]

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "dagster_project.cli", *arguments]

    def start(self, *arguments: str, program: str | None = None) -> subprocess.Popen[str]:
        """A command, or a program in its place, that goes on in the background."""
        command = [sys.executable, "-c", program] if program else self.command(*arguments)
        return subprocess.Popen(
            command, cwd=ROOT, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def run(self, *arguments: str, program: str | None = None) -> Finished:
        started = time.monotonic()
        process = self.start(*arguments, program=program)
        out, err = process.communicate(timeout=900)
        return Finished(process.returncode, out, err, time.monotonic() - started)

    def query(self, sql: str) -> pd.DataFrame:
        """A query on the published file, as a reader asks it."""
        with duckdb.connect(str(self.paths.published.resolve() / "pilotcity.duckdb"), read_only=True) as connection:
            return connection.execute(sql).df()

    def panel(self, name: str) -> pd.DataFrame:
        return pd.read_parquet(self.paths.published / "data" / "panels" / f"{name}.parquet")


@pytest.fixture(scope="session")
def install(tmp_path_factory: pytest.TempPathFactory):
    """Makes an installation, on the sample world without a raw folder. Gone at the end: each is half a gigabyte."""
    made: list[Path] = []

    def make(raw: Path | None = None) -> Installation:
        data = tmp_path_factory.mktemp("installation")
        made.append(data)
        # the checkout's own data folder and settings stay out of it
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("PILOTCITY_", "DAGSTER_"))}
        kept |= {"PILOTCITY_DATA": str(data), "PYTHONPATH": str(ROOT)}
        if raw:
            kept["PILOTCITY_RAW"] = str(raw)
        return Installation(Paths(data, raw or data / "sample", is_sample=raw is None), kept)

    yield make
    for data in made:
        shutil.rmtree(data, ignore_errors=True)


@pytest.fixture(scope="session")
def first(install):
    """The installation on the sample world after its first run, and what that run printed."""
    installation = install()
    return installation, installation.run("run")


@pytest.fixture(scope="session")
def sample(first):
    """That installation; whoever only reads from it shares it, in the test group "sample"."""
    installation, finished = first
    assert finished.code == 0, finished.out + finished.err
    return installation
