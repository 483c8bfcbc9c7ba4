"""What a whole run hands out beside its site: the dictionary, the descriptor, comments, and a zip that replicates."""

from __future__ import annotations

import hashlib
import json

import pandas as pd
import pytest

from analysis.reporting.archive import unpack
from analysis.reporting.panel_files import NAMES
from analysis.studies import spec
from dagster_project import database
from dagster_project.downloads import KINDS

pytestmark = pytest.mark.xdist_group("sample")


def test_the_dictionary_has_every_column_of_every_panel(sample):
    dictionary = sample.query("select * from panels.data_dictionary")
    assert dictionary.is_sample.all()
    for name in ("city_year", *spec.catalogue()):
        panel = sample.panel(name)
        own = dictionary[dictionary.study == name].set_index("column_name")
        assert list(own.index) == list(panel.columns), name
        assert (own[["label_en", "label_zh", "definition"]] != "").all(axis=None), name
        counted = panel.notna().sum()
        assert (own["values"].astype(int) == counted[own.index]).all(), name
        numbers = panel.select_dtypes("float64").dropna(axis="columns", how="all")
        pd.testing.assert_series_equal(own.loc[numbers.columns, "maximum"], numbers.max(), check_names=False)
    world = dictionary[(dictionary.study == "city_year") & (dictionary["values"] > 0) & (dictionary.role != "key")]
    assert (world.sources != "").all(), world[world.sources == ""].column_name.tolist()


def test_every_column_of_a_panel_says_in_the_database_what_it_is(sample):
    told = sample.query(
        "select table_name, column_name, comment from duckdb_columns() where schema_name = 'panels' "
        "and table_name not in ('data_dictionary', 'publication', 'caliber_changes', 'cities')"
    )
    assert told.comment.notna().all(), told[told.comment.isna()]
    # what cities are called is no sample
    names = told.table_name.str.endswith(database.NAMED) & told.column_name.isin(NAMES)
    assert told.comment[~names].str.startswith("SAMPLE DATA. ").all()
    assert told.comment.str.contains("绿色").any()


def test_no_table_view_or_column_of_the_database_is_without_a_comment(sample):
    told = sample.query(
        "select schema_name, table_name, '' as column_name, comment from duckdb_tables() where not internal "
        "union all select schema_name, view_name, '', comment from duckdb_views() where not internal "
        "union all select schema_name, table_name, column_name, comment from duckdb_columns() where not internal"
    )
    assert {"panels", "scores", "estimates", "quality"} <= set(told.schema_name)
    assert told.comment.fillna("").ne("").all(), told[told.comment.fillna("").eq("")]


def test_the_descriptor_names_every_parquet_file_with_its_hash(sample):
    data = sample.paths.published.resolve() / "data"
    package = json.loads((data / "datapackage.json").read_text(encoding="utf-8"))
    assert "SAMPLE DATA" in package["title"]
    described = {resource["path"]: resource for resource in package["resources"]}
    assert set(described) == {path.relative_to(data).as_posix() for path in data.rglob("*.parquet")}
    for path, resource in described.items():
        content = (data / path).read_bytes()
        assert resource["hash"] == f"sha256:{hashlib.sha256(content).hexdigest()}", path
        assert resource["bytes"] == len(content)


def test_each_study_hands_out_its_panel_its_citation_and_one_zip(sample):
    exports = sample.paths.published.resolve() / "exports"
    for name, path in spec.catalogue().items():
        assert {f"{name}.{suffix}" for suffix in KINDS.values()} <= {file.name for file in exports.iterdir()}
        archive = unpack((exports / f"{name}.zip").read_bytes())
        assert archive.about["is_sample"] is True
        assert archive.files[f"study/{name}.yaml"] == path.read_bytes()
        tables = {file for file in archive.files if file.startswith("tables/")}
        assert {f"tables/{exhibit.name}.tex" for exhibit in spec.load(path).exhibits} <= tables
        with pd.io.stata.StataReader(exports / f"{name}.dta") as reader:
            assert len(reader.read(convert_categoricals=False)) == len(sample.panel(name))
            assert reader.data_label.startswith("SAMPLE DATA: ")
        page = (sample.paths.reports / f"{name}.html").read_text(encoding="utf-8")
        assert f'href="exports/{name}.zip"' in page
        assert (sample.paths.reports / "exports" / f"{name}.zip").is_file()


def test_a_stranger_computes_the_estimates_of_a_study_again_from_its_zip(sample, tmp_path):
    zipped = sample.paths.published.resolve() / "exports" / "low_carbon_cities.zip"
    finished = sample.run("replicate", str(zipped), "--tables", str(tmp_path / "tables"))
    assert finished.code == 0, finished.out + finished.err
    assert "figures came out again" in finished.out
    assert "warning" not in finished.out
    assert (tmp_path / "tables" / "table_2.tex").is_file()


def test_what_is_no_archive_gets_a_sentence(sample, tmp_path):
    (tmp_path / "some.zip").write_bytes(b"no zip")
    finished = sample.run("replicate", str(tmp_path / "some.zip"))
    assert finished.code == 1
    assert finished.err.startswith("pilotcity: This is not a zip file")
    assert "Traceback" not in finished.err
