"""The page on the keys of a study says what the models say, and its example is a study."""

from pathlib import Path

from analysis.studies.keys import PAGE, markdown
from analysis.studies.spec import load


def test_the_page_is_what_the_models_say() -> None:
    assert PAGE.read_text(encoding="utf-8") == markdown(), "write it anew: python -m analysis.studies.keys"


def test_the_example_of_the_page_is_a_study_of_fifteen_lines(tmp_path: Path) -> None:
    text = markdown().split("```yaml\n")[1].split("```")[0]
    assert len(text.splitlines()) <= 16
    path = tmp_path / "carbon_market.yaml"
    path.write_text(text.replace("policy: carbon_market", "policy: low_carbon_cities"), encoding="utf-8")
    study = load(path)
    assert len(study.exhibits) == 6
    assert study.controls[:2] == ("fiscal_lag_1", "fdi_lag_1")
