"""`pilotcity audit` on a publication made here: what it prints, as text and as JSON, and what it refuses."""

from __future__ import annotations

import json

import pandas as pd
import pytest
from study_panel import make_panel

from analysis.studies import spec
from analysis.studies.result import COLUMNS
from dagster_project import cli
from dagster_project.assets.audits import judged
from dagster_project.paths import Paths


@pytest.fixture
def published(tmp_path, monkeypatch) -> Paths:
    """A publication with noise for the AI zones and nothing else."""
    study = spec.load(spec.catalogue()["ai_pilot_zones"])
    folder = tmp_path / "data" / "published"
    (folder / "data" / "panels").mkdir(parents=True)
    (folder / "data" / "estimates").mkdir()
    panel = make_panel(study)
    panel.to_parquet(folder / "data" / "panels" / "ai_pilot_zones.parquet", index=False)
    columns = {variable.source: panel[variable.name] for variable in study.variables if not variable.log}
    city_year = panel[["city_code", "year"]].assign(**columns)
    city_year.to_parquet(folder / "data" / "panels" / "city_year.parquet", index=False)
    empty = pd.DataFrame({name: pd.Series(dtype="str" if name in COLUMNS[:4] else "float64") for name in COLUMNS})
    empty.to_parquet(folder / "data" / "estimates" / "estimates.parquet", index=False)
    (folder / "publication.json").write_text(json.dumps({"is_sample": True}))
    (tmp_path / "raw").mkdir()
    monkeypatch.setenv("PILOTCITY_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("PILOTCITY_RAW", str(tmp_path / "raw"))
    return Paths(tmp_path / "data", tmp_path / "raw", is_sample=True)


def test_findings_are_printed_worst_first_with_evidence_and_advice(published, capsys):
    assert cli.main(["audit", "ai_pilot_zones", "--replication"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("SAMPLE DATA")
    error = text.index("ERROR claim-and-table (table_7, (3), ai): Text against table")
    assert error < text.index("WARNING ") < text.index("NOTE ")
    assert "0.1076 is the coefficient of (2)" in text
    assert "To do: Quote the table" in text
    assert "A referee will ask for: Leaving one out." in text
    assert "Not possible: Many outcomes. The study has one outcome." in text
    assert "reproduced exactly: table_6 treated against never treated weight: published 0.989" in text


def test_json_holds_the_same_findings(published, capsys):
    assert cli.main(["audit", "ai_pilot_zones", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["study"] == "ai_pilot_zones"
    assert found["is_sample"] is True
    codes = [finding["code"] for finding in found["findings"]]
    assert {"claim-and-table", "few-treated-clusters", "sample-years"} <= set(codes)
    assert set(codes).isdisjoint(found["silent"])
    study = spec.load(spec.catalogue()["ai_pilot_zones"])
    audit, replication = judged(published, published.published, study)
    assert found["findings"] == audit.as_dict()["findings"]
    states = {each["check"]: each for each in found["expected"]}
    assert len(states) == 35
    assert states["event_study"]["where"] == ["figure_3"]
    assert "method: conley" in states["conley"]["lines"]
    assert states["outcomes"]["why"] == "The study has one outcome."
    assert replication.of("not reproduced") == ()


def test_a_study_that_is_not_there_is_named_with_the_nearest(published, capsys):
    assert cli.main(["audit", "ai_pilot_zone"]) == 1
    assert "did you mean 'ai_pilot_zones'?" in capsys.readouterr().err
    assert cli.main(["audit", "innovative_clusters"]) == 1
    assert "Nothing is published of 'innovative_clusters' yet" in capsys.readouterr().err
