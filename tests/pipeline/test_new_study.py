"""A third study with no Python written: begun by the command in a copy of the project, its panel made by dbt from the
sample's cities and years, its assets in the graph, its baseline computed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from dagster_project.paths import CODE, ROOT

pytestmark = pytest.mark.xdist_group("sample")

NAME = "carbon_market"
CITIES = """\
city_code,name_zh,name_en,adoption,scope,source,certainty
110000,北京市,Beijing,2013,whole city,a source,public record
120000,天津市,Tianjin,2013,whole city,a source,public record
310000,上海市,Shanghai,2013,whole city,a source,public record
440300,深圳市,Shenzhen,2013,whole city,a source,public record
500000,重庆市,Chongqing,2014,whole city,a source,public record
"""
#: Run inside the copy: assets of the graph, then the panel, then the baseline.
PROGRAM = """
import json, subprocess, sys
from pathlib import Path
import dagster as dg, pandas as pd
from analysis.studies import run
from dagster_project import definitions, overlay, resources
from dagster_project.assets import sources
from dagster_project.ingest import contracts
from dagster_project.paths import CONTRACTS, DBT_PROJECT, REFERENCE, Paths

data, city_year = Path(sys.argv[1]), sys.argv[2]
paths = Paths(data, data / "sample", is_sample=True)
graph = definitions.build(paths).resolve_asset_graph()
found = contracts.load_all(CONTRACTS)
quiet = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
with dg.DagsterInstance.ephemeral() as instance:
    loaders = [sources.reference(paths, found), sources.policies(paths), sources.studies(paths)]
    assert dg.materialize(loaders, instance=instance, run_config=quiet).success
with resources.warehouse(paths) as connection:
    connection.execute("create schema panels; create schema scores")
    connection.execute(f"create table panels.city_year as from read_parquet('{city_year}')")
    connection.execute(
        "create table scores.efficiency (study varchar, name varchar, frontier varchar, city_code varchar, "
        "year integer, score double)"
    )
subprocess.run(
    [resources.DBT, "run", "--quiet", "--select", "carbon_market", f"--profiles-dir={DBT_PROJECT}",
     f"--target-path={paths.dbt_target}", f"--log-path={paths.dbt_target / 'logs'}"],
    cwd=DBT_PROJECT, check=True,
)
with resources.warehouse(paths) as connection:
    panel = connection.execute("select * from panels.carbon_market order by city_code, year").df()
study = next(found for found in overlay.studies(paths) if found.name == "carbon_market")
cities = pd.read_csv(REFERENCE / "cities.csv", dtype={"city_code": str})
result = run.run_exhibit(study, "table_2", panel, is_sample=True, cities=cities)
result.estimates.to_parquet(data / "estimates.parquet", index=False)
panel.to_parquet(data / "panel.parquet", index=False)
print(json.dumps(sorted(key.to_user_string() for key in graph.get_all_asset_keys())))
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    """A copy of what the project is made of, with the new study in it."""
    root = tmp_path_factory.mktemp("project")
    for folder in CODE:
        shutil.copytree(ROOT / folder, root / folder, ignore=shutil.ignore_patterns("__pycache__", "target", "logs"))
    shutil.copy(ROOT / "requirements.lock", root)
    begun = in_copy(root, "-m", "dagster_project.cli", "new-study", NAME)
    assert begun.returncode == 0, begun.stderr
    assert f"own/policies/{NAME}.csv" in begun.stdout
    (root / "data" / "own" / "policies" / f"{NAME}.csv").write_text(CITIES, encoding="utf-8")
    return root


def in_copy(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("PILOTCITY_", "DAGSTER_"))}
    environment = {**kept, "PYTHONPATH": str(root), "PILOTCITY_DATA": str(root / "generated")}
    return subprocess.run(
        [sys.executable, *arguments], cwd=root, env=environment, capture_output=True, text=True, check=False
    )


def test_a_study_by_yaml_alone_has_its_assets_its_panel_and_its_tables(sample, project):
    data = project / "generated"
    city_year = sample.paths.published.resolve() / "data" / "panels" / "city_year.parquet"
    finished = in_copy(project, "-c", PROGRAM, str(data), str(city_year))
    assert finished.returncode == 0, finished.stdout[-2000:] + finished.stderr[-2000:]
    keys = set(json.loads(finished.stdout.splitlines()[-1]))
    assert {f"panels/{NAME}", f"{NAME}/table_1", f"{NAME}/table_2", f"{NAME}/figure_1", f"{NAME}/table_4"} <= keys
    panel = pd.read_parquet(data / "panel.parquet")
    assert len(panel) == 286 * 16
    assert panel.groupby("city_code").adoption.first().dropna().to_dict() == {
        **dict.fromkeys(("110000", "120000", "310000", "440300"), 2013),
        "500000": 2014,
    }
    assert panel.treated.sum() == 4 * 9 + 8
    estimates = pd.read_parquet(data / "estimates.parquet")
    own = estimates[estimates.term == "treated"]
    assert own.status.tolist() == ["ok", "ok"]
    assert own.reason.str.contains("5 treated cities").all()
