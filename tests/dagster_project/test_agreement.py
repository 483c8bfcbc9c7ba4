"""Second opinions from a publication's folder: asked once for the same inputs, anew for others, and read back."""

from __future__ import annotations

from types import SimpleNamespace

import pandas as pd
import pytest

from analysis.agreement.exhibit import as_table
from dagster_project import agreement, cli, overlay


@pytest.fixture
def published(paths, monkeypatch):
    """A folder with the panel and an estimate of one exhibit, its study, and how often engines were asked."""
    study = SimpleNamespace(
        name="low_carbon_cities",
        exhibits=[SimpleNamespace(name="table_1", kind="descriptive", models=(), tests=(), variables=())],
        groups=(),
        years=(2006, 2019),
        treatment="low_carbon",
        panel=None,
        efficiency=(),
    )
    folder = paths.data / "folder"
    for kind in ("panels", "estimates"):
        (folder / "data" / kind).mkdir(parents=True)
    asked = []

    def second_opinions(study, name, panel, estimates, **others):
        asked.append(name)
        row = {"study": study.name, "exhibit": name, "model": "y", "term": "mean", "engine": "scipy", "version": "1"}
        return as_table([{**row, "estimate": estimates["estimate"].iloc[0], "verdict": "confirmed", "reason": ""}])

    monkeypatch.setattr("analysis.agreement.second_opinions", second_opinions)
    monkeypatch.setattr(overlay, "cities", lambda paths, **options: pd.DataFrame({"city_code": ["110000"]}))

    def write(panel: float, estimate: float) -> None:
        pd.DataFrame({"y": [panel]}).to_parquet(folder / "data" / "panels" / f"{study.name}.parquet")
        row = {"study": study.name, "exhibit": "table_1", "model": "y", "term": "mean", "estimate": estimate}
        pd.DataFrame([row]).to_parquet(folder / "data" / "estimates" / "estimates.parquet")

    return folder, study, asked, write


def test_engines_are_asked_once_for_the_same_inputs_and_again_for_others(paths, published):
    folder, study, asked, write = published
    write(1.0, 2.0)
    first = agreement.of_study(paths, folder, study)
    again = agreement.of_study(paths, folder, study)
    pd.testing.assert_frame_equal(first, again)
    assert asked == ["table_1"]
    write(1.5, 2.0)
    agreement.of_study(paths, folder, study)
    write(1.5, 2.5)
    assert agreement.of_study(paths, folder, study)["estimate"].tolist() == [2.5]
    assert len(asked) == 3
    agreement.forget_others(paths, keep=1)
    assert len(list((paths.warehouse.parent / "agreement").iterdir())) == 1


def test_what_another_process_has_answered_is_not_asked_again(paths, published):
    folder, study, asked, write = published
    write(1.0, 2.0)
    assert agreement.unanswered(paths, folder, [study]) == [(study.name, "table_1")]

    def other(name: tuple[str, str]) -> bool:
        answers = [agreement.answer(paths, one) for one in agreement.questions(paths, folder, study)]
        return not answers

    found = agreement.of_study(paths, folder, study, mine=other)
    assert found["estimate"].tolist() == [2.0]
    assert asked == ["table_1"]
    assert agreement.unanswered(paths, folder, [study]) == []


def test_a_folder_without_agreement_has_none_and_another_gives_a_studys_own_rows(paths, published):
    folder, study, _, write = published
    assert agreement.read(folder, study.name) is None
    write(1.0, 2.0)
    own = agreement.of_study(paths, folder, study)
    pd.concat([own, own.assign(study="other")]).to_parquet(folder / agreement.FILE)
    assert agreement.read(folder, study.name)["study"].tolist() == [study.name]


def test_agree_names_the_study_that_was_meant_and_what_is_not_published(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("PILOTCITY_DATA", str(tmp_path))
    assert cli.main(["agree", "low_carbon_citys"]) == 1
    assert "did you mean 'low_carbon_cities'?" in capsys.readouterr().err
    assert cli.main(["agree", "low_carbon_cities"]) == 1
    assert "Nothing is published of 'low_carbon_cities' yet" in capsys.readouterr().err
