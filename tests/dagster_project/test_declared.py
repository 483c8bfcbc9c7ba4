"""What dbt models declare of their columns, and contracts of their headers: read once, contradictions refused."""

from __future__ import annotations

import pytest

from dagster_project import declared
from dagster_project.ingest import contracts
from dagster_project.paths import CONTRACTS

MODEL = """\
models:
  - name: m
    columns:
      - name: gdp_10k_yuan
        description: 10,000 yuan. GDP at current prices.
        config: {meta: {%s}}
      - {name: said, description: Nothing is declared.}
"""


def project(tmp_path, panel: str, intermediate: str):
    for folder, name, meta in (("panels", "city_year", panel), ("intermediate", "int_m", intermediate)):
        (tmp_path / "models" / folder).mkdir(parents=True)
        (tmp_path / "models" / folder / f"{name}.yml").write_text(MODEL % meta, encoding="utf-8")
    return tmp_path


def test_what_a_column_declares_is_read_with_its_unit(tmp_path):
    found = declared.formulas(project(tmp_path, "formula: gdp", "records: patents"))
    assert found.to_numpy().tolist() == [
        ["panel", "gdp_10k_yuan", "formula", "gdp", "10,000 yuan", "GDP at current prices."],
        ["intermediate", "gdp_10k_yuan", "records", "patents", "10,000 yuan", "GDP at current prices."],
    ]


def test_a_column_comes_from_one_thing(tmp_path):
    with pytest.raises(ValueError, match=r"int_m\.yml: gdp_10k_yuan declares formula and records\."):
        declared.formulas(project(tmp_path, "formula: gdp", "formula: gdp, records: patents"))


def test_a_name_is_declared_once(tmp_path):
    folder = project(tmp_path, "formula: gdp", "records: patents")
    (folder / "models" / "intermediate" / "int_n.yml").write_text(MODEL % "formula: x", encoding="utf-8")
    with pytest.raises(ValueError, match="Two columns of dbt/models/intermediate declare gdp_10k_yuan"):
        declared.formulas(folder)


def test_headers_with_a_definition_of_their_own_are_listed_as_they_are_compared():
    found = contracts.headers_table(contracts.load_all(CONTRACTS).values())
    soot = found[found.indicator == "soot_industrial"].set_index("header").definition
    assert soot["工业烟(粉)尘排放量"] == "soot and dust"
    assert len(soot) == 3


def test_a_definition_that_nobody_has_verified_says_so_wherever_it_is_quoted(tmp_path):
    text = (CONTRACTS / "city_yearbook.yaml").read_text(encoding="utf-8")
    found = contracts.headers_table(contracts.load_all(CONTRACTS).values()).definition
    assert found.str.endswith(" (to be checked)").sum() == text.count("{says: ") - text.count("{says: section ")
    path = tmp_path / "city_yearbook.yaml"
    path.write_text(text.replace("{says: particulate matter}", "particulate matter"), encoding="utf-8")
    plain = contracts.headers_table([contracts.load(path)]).set_index("header").definition
    assert plain["工业颗粒物排放量"] == "particulate matter (to be checked)"


def test_a_definition_that_is_public_record_names_the_record(tmp_path):
    text = (CONTRACTS / "city_yearbook.yaml").read_text(encoding="utf-8")
    path = tmp_path / "city_yearbook.yaml"
    path.write_text(text.replace(', source: "GB/T 4754-2002, section G"', ""), encoding="utf-8")
    with pytest.raises(contracts.ContractError, match="public record needs its `source`"):
        contracts.load(path)


def test_a_definition_of_a_header_that_the_column_does_not_have_is_refused(tmp_path):
    text = (CONTRACTS / "city_yearbook.yaml").read_text(encoding="utf-8")
    path = tmp_path / "city_yearbook.yaml"
    path.write_text(text.replace("工业烟尘排放量:", "工业烟尘:"), encoding="utf-8")
    with pytest.raises(contracts.ContractError, match="'工业烟尘', which is no header of this column"):
        contracts.load(path)
