"""`pilotcity surface` on a publication made here, and what an exhibit writes before it reads a panel."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace

import pandas as pd
import pytest
from study_panel import make_panel

from analysis.studies import spec
from analysis.studies.kinds.surface import Written
from analysis.studies.records import Exhibit, Label
from dagster_project import cli, exhibits
from dagster_project.assets import publish
from dagster_project.paths import Paths

NAME = "low_carbon_cities"


def small() -> spec.Study:
    """The study with a surface of few specifications."""
    study = spec.load(spec.catalogue()[NAME])
    own = replace(study, outcomes=("co2_per_gdp",), controls=("fin",))
    written = Written(scales=(), dates=(), leave_out=(), effects=(), own_trends=False, estimators=(), draws=9)
    common = Exhibit("table_9", "surface", Label("All", "全部"), None, None, is_drawn=True)
    return replace(own, exhibits=(written.exhibit(common, own),))


@pytest.fixture
def published(tmp_path, monkeypatch) -> Paths:
    """A publication with an effect of a half for the low-carbon cities and nothing else."""
    folder = tmp_path / "data" / "published"
    (folder / "data" / "panels").mkdir(parents=True)
    make_panel(small()).to_parquet(folder / "data" / "panels" / f"{NAME}.parquet", index=False)
    (folder / "publication.json").write_text(json.dumps({"is_sample": True}))
    (tmp_path / "raw").mkdir()
    monkeypatch.setenv("PILOTCITY_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("PILOTCITY_RAW", str(tmp_path / "raw"))
    return Paths(tmp_path / "data", tmp_path / "raw", is_sample=True)


def test_the_list_needs_no_publication_and_its_hash_is_that_of_its_text(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setenv("PILOTCITY_DATA", str(tmp_path / "nothing"))
    assert cli.main(["surface", NAME, "--list"]) == 0
    told = capsys.readouterr()
    assert told.out.startswith("specification,outcome,measure")
    assert f"SHA-256 {hashlib.sha256(told.out.encode()).hexdigest()}" in told.err
    assert cli.main(["surface", NAME]) == 1
    assert "Nothing is published" in capsys.readouterr().err
    assert cli.main(["surface", "low_carbon_city"]) == 1
    assert f"did you mean {NAME!r}?" in capsys.readouterr().err


def test_every_specification_is_written_where_it_is_asked_for(published, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setattr("dagster_project.commands.surface._study", lambda paths, name: small())
    assert cli.main(["surface", NAME, "--draws", "19", "--output", str(tmp_path / "out")]) == 0
    text = capsys.readouterr().out
    assert text.startswith("SAMPLE DATA")
    assert "| Draws | 19 |" in text
    rows = pd.read_parquet(tmp_path / "out" / "table_9.surface.parquet")
    assert rows["estimate"].notna().any()
    assert (tmp_path / "out" / "table_9.svg").exists()


def test_an_exhibit_lists_its_specifications_before_the_panel_is_read(published, tmp_path, monkeypatch) -> None:
    """The panel cannot be read here: what stands in the folder then was written without it."""

    def refuse(*_: object) -> pd.DataFrame:
        raise RuntimeError("no outcome may be read yet")

    monkeypatch.setattr(exhibits, "read_panel", refuse)
    made = exhibits.computation(published, published.published, small(), "table_9")
    folder = tmp_path / "made"
    folder.mkdir()
    with pytest.raises(RuntimeError, match="no outcome may be read yet"):
        made.make(folder)
    assert len(pd.read_csv(folder / "table_9.specifications.csv")) > 10


def test_tables_that_kinds_fill_are_there_without_an_exhibit_too(published) -> None:
    empty = publish.further_tables(published.published, [(NAME, "table_9")])["surface"]
    assert len(empty) == 0
    assert {"study", "specification", "estimate", "sha256", "is_sample"} <= set(empty.columns)
