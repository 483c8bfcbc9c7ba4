"""`pilotcity preview`: a study's tables as its YAML now stands, from what is published; nothing is published by it."""

import argparse
import shutil
from pathlib import Path

import pandas as pd
import pytest
from study_panel import CITIES, make_panel

from analysis.reporting.archive import pack
from analysis.studies import spec
from analysis.studies.run import run_exhibit
from dagster_project import overlay
from dagster_project.cli import main as command_line
from dagster_project.commands import preview
from dagster_project.paths import POLICIES, REFERENCE, ROOT, Paths

BUILT_IN = spec.catalogue()["low_carbon_cities"]


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """An own study and its publication: the panel, the estimates and the zip that says how the panel was made."""
    place = tmp_path_factory.mktemp("preview")
    own, folder = place / "own", place / "data" / "published"
    paths = Paths(place / "data", place / "data" / "raw", is_sample=False, own=own)
    file = own / "studies" / "mine.yaml"
    file.parent.mkdir(parents=True)
    file.write_text(BUILT_IN.read_text(encoding="utf-8").replace("study: low_carbon_cities", "study: mine"))
    study = spec.load(file, overlay.known(paths))
    panel = make_panel(study)
    for part in ("panels", "estimates"):
        (folder / "data" / part).mkdir(parents=True)
    panel.to_parquet(folder / "data" / "panels" / "mine.parquet", index=False)
    estimates = run_exhibit(study, "table_2", panel, is_sample=False, cities=CITIES).estimates
    estimates.to_parquet(folder / "data" / "estimates" / "estimates.parquet", index=False)
    files = {"study/mine.yaml": file.read_bytes()}
    files["data/reference/cities.csv"] = (REFERENCE / "cities.csv").read_bytes()
    files["data/policies/low_carbon_cities.csv"] = (POLICIES / "low_carbon_cities.csv").read_bytes()
    (folder / "site" / "exports").mkdir(parents=True)
    (folder / "site" / "exports" / "mine.zip").write_bytes(pack("mine", files, {"is_sample": False}))
    return place


@pytest.fixture
def mine(made, tmp_path) -> tuple[Paths, Path]:
    """The same for one test, and the study's YAML."""
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    paths = Paths(tmp_path / "data", tmp_path / "data" / "raw", is_sample=False, own=tmp_path / "own")
    return paths, tmp_path / "own" / "studies" / "mine.yaml"


def look(paths: Paths, exhibit: str | None = None, watch: bool = False) -> int:
    return preview.main(paths, argparse.Namespace(study="mine", exhibit=exhibit, watch=watch))


def edit(file: Path, before: str, after: str) -> None:
    text = file.read_text(encoding="utf-8")
    assert before in text
    file.write_text(text.replace(before, after, 1), encoding="utf-8")


def test_the_main_table_is_computed_from_the_published_panel_and_nothing_is_published(mine, capsys):
    paths, _ = mine
    before = sorted(paths.data.rglob("*"))
    assert look(paths) == 0
    said = capsys.readouterr().out
    published = pd.read_parquet(paths.published / "data" / "estimates" / "estimates.parquet")
    effect = published.loc[published["term"].eq("low_carbon"), "estimate"].iloc[0]
    assert f"{effect:.4f}" in said
    assert "The policy's estimates are what the publication says." in said
    assert sorted(paths.data.rglob("*")) == before


def test_what_the_yaml_changed_is_shown_with_what_moved(mine, capsys):
    paths, file = mine
    edit(file, '{label: "(2)", outcome: ln_co2}', '{label: "(2)", outcome: ln_co2, drop: [fin, fdi]}')
    assert look(paths) == 0
    said = capsys.readouterr().out
    assert "Baseline regression" in said
    assert "low_carbon, (2): " in said
    assert "(published -> now)" in said
    assert "Parallel trends" not in said


def test_a_variable_that_the_warehouse_must_make_anew_needs_a_run(mine, capsys):
    paths, file = mine
    edit(file, "from: co2_ceads_tonne\n    log: true", "from: co2_ceads_tonne\n    log: false")
    assert look(paths, "table_2") == 1
    assert "table_2 needs a run, since 'ln_co2' is co2_ceads_tonne, not ln co2_ceads_tonne" in capsys.readouterr().out
    assert look(paths, "table_3") == 0


def test_other_years_need_a_run_for_every_table(mine, capsys):
    paths, file = mine
    edit(file, "years: [2006, 2019]", "years: [2008, 2019]")
    assert look(paths, "table_3") == 1
    assert "table_3 needs a run, since the years: 2008-2019, not 2006-2019" in capsys.readouterr().out


def test_a_figure_is_written_and_its_path_is_printed(mine, capsys):
    paths, _ = mine
    assert look(paths, "figure_1") == 0
    picture = paths.data / "preview" / "mine" / "figure_1.png"
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert "figure_1.png" in capsys.readouterr().out


def test_watching_names_the_line_of_an_error_and_goes_on_after_it(mine, capsys, monkeypatch):
    paths, file = mine

    def savings(watched: Path):
        assert watched == file
        yield b""
        edit(file, "cluster: unit\n", "clusters: unit\n")
        yield b""
        edit(file, "clusters: unit\n", "cluster: province_code\n")
        yield b""

    monkeypatch.setattr(preview, "savings", savings)
    assert look(paths, "table_2", watch=True) == 0
    first, wrong, last = capsys.readouterr().out.split("Watching ")[:3]
    line = file.read_text(encoding="utf-8").splitlines().index("cluster: province_code") + 1
    assert f"mine.yaml, line {line}, key 'clusters'" in wrong
    assert "Baseline regression" in first
    assert "clustered by province" in last


def test_a_saving_is_noticed_and_the_same_content_is_not(tmp_path):
    file = tmp_path / "study.yaml"
    file.write_text("a")
    seen = preview.savings(file)
    assert next(seen) == b"a"
    file.write_text("b")
    assert next(seen) == b"b"


def test_a_study_that_was_never_published_needs_a_run(mine):
    paths, _ = mine
    (paths.published / "data" / "panels" / "mine.parquet").unlink()
    with pytest.raises(FileNotFoundError, match="this needs a run: pilotcity run --studies mine"):
        look(paths)


def test_a_study_from_a_file_is_shown_before_anything_is_published(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("PILOTCITY_OWN", str(tmp_path / "own"))
    monkeypatch.setenv("PILOTCITY_DATA", str(tmp_path / "data"))
    assert command_line(["new-study", "counties", "--panel", str(ROOT / "docs" / "examples" / "counties.csv")]) == 0
    capsys.readouterr()
    assert command_line(["preview", "counties"]) == 0
    said = capsys.readouterr().out
    assert "Baseline regression" in said
    assert "SAMPLE DATA" not in said
