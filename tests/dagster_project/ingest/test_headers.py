"""What contracts declare of their headers: read once, contradictions refused."""

from __future__ import annotations

import pytest

from dagster_project.ingest import contracts
from dagster_project.paths import CONTRACTS


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
