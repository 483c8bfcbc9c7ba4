"""What a publication hands out beside its site, on a candidate of one small study."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import duckdb
import pandas as pd
import pytest

from analysis.reporting.archive import unpack
from analysis.reporting.submission import (
    FROM_RAW_LOG,
    HEADINGS,
    RAW_FILES,
    check,
    may_be_included,
    recompute_from_raw,
)
from analysis.studies import spec
from analysis.studies.new import new_study
from analysis.studies.run import run_study
from dagster_project import cli, database, downloads, submission
from dagster_project.paths import Paths

ABOUT = {"version": "0123456789ab", "is_sample": True, "raw_sha256": "r", "code_sha256": "c" * 64, "lock_sha256": "l"}

PATHS = Paths(Path("data"), Path("data/sample"), is_sample=True)


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> spec.Study:
    """Table 1 and 2 of the template, on a committed list of pilots."""
    root = tmp_path_factory.mktemp("project")
    path = new_study("carbon_market", root)[0]
    text = path.read_text(encoding="utf-8")
    text = text[: text.index("exhibits: standard")].replace("policy: carbon_market", "policy: ai_pilot_zones")
    text += """\
exhibits:
  table_1: {kind: descriptive, title: Descriptive statistics, variables: [ln_pgdp, secondary, open]}
  table_2:
    kind: regression
    title: Baseline
    show: all
    columns:
      - {label: "(1)", outcome: ln_pgdp, drop: all controls}
      - {label: "(2)", outcome: ln_pgdp}
"""
    path.write_text(text, encoding="utf-8")
    return spec.load(path)


@pytest.fixture
def candidate(tmp_path, study) -> Path:
    folder = tmp_path / "candidate"
    for name in ("panels", "quality", "estimates"):
        (folder / "data" / name).mkdir(parents=True)
    (folder / "publication.json").write_text(json.dumps(ABOUT))
    panel = pd.MultiIndex.from_product([range(110100, 110130), range(2006, 2010)], names=["city_code", "year"])
    frame = panel.to_frame(index=False).astype({"city_code": str})
    frame["adoption"] = frame["city_code"].map(lambda code: 2008.0 if code < "110115" else None)
    frame["treated"] = (frame["year"] >= frame["adoption"]).astype(int)
    for number, variable in enumerate(study.variables):
        frame[variable.name] = (frame.index * (7 + 4 * number) % 31) / 31 + number
    frame.to_parquet(folder / "data" / "panels" / "carbon_market.parquet", index=False)
    world = frame[["city_code", "year"]].assign(trade_share=0.5)
    world.to_parquet(folder / "data" / "panels" / "city_year.parquet", index=False)
    base = spec.variables_table([study]).rename(columns={"name": "column_name"})
    base[["study", "position", "column_name"]].to_parquet(folder / "data" / "panels" / "data_dictionary.parquet")
    files = pd.DataFrame({"source": ["city_yearbook"], "file": ["a.xlsx"]})
    files.to_parquet(folder / "data" / "quality" / "files.parquet", index=False)
    results = run_study(study, frame, is_sample=True)
    estimates = pd.concat([result.estimates for result in results.values()], ignore_index=True)
    estimates.to_parquet(folder / "data" / "estimates" / "estimates.parquet", index=False)
    (folder / "exhibits" / "carbon_market").mkdir(parents=True)
    (folder / "exhibits" / "carbon_market" / "table_1.tex").write_text("SAMPLE DATA")
    return folder


def export(candidate: Path, study: spec.Study) -> dict[str, str]:
    dictionary = downloads.complete_dictionary(PATHS, candidate, [study])
    return downloads.export_study(PATHS, candidate, study, dictionary)


def test_a_study_is_exported_in_every_kind_below_the_site_and_found_beside_the_data(candidate, study) -> None:
    written = export(candidate, study)
    assert set(written) == set(downloads.KINDS)
    assert all((candidate / "site" / path).is_file() for path in written.values())
    assert (candidate / "exports").is_symlink()
    assert (candidate / "exports" / "carbon_market.zip").is_file()
    assert "SAMPLE DATA" in (candidate / "exports" / "carbon_market.citation.txt").read_text()
    assert downloads.present(candidate, "other") == {}


def test_exporting_twice_gives_the_same_bytes_also_where_a_copy_holds_a_folder(candidate, study, tmp_path) -> None:
    export(candidate, study)
    copy = tmp_path / "copy"
    shutil.copytree(candidate, copy)  # follows links, as a candidate made from a publication does
    assert not (copy / "exports").is_symlink()
    export(copy, study)
    assert (copy / "exports").is_symlink()
    for suffix in downloads.KINDS.values():
        name = f"carbon_market.{suffix}"
        assert (copy / "exports" / name).read_bytes() == (candidate / "exports" / name).read_bytes(), suffix


def test_the_zip_holds_what_a_stranger_needs_and_replicates(candidate, study, capsys) -> None:
    export(candidate, study)
    zipped = candidate / "exports" / "carbon_market.zip"
    archive = unpack(zipped.read_bytes())
    assert {
        *("study/carbon_market.yaml", "data/reference/cities.csv", "data/policies/ai_pilot_zones.csv"),
        *("panels/carbon_market.parquet", "panels/carbon_market.dta", "estimates.parquet", "estimates.csv"),
        *("tables/table_1.tex", "dictionary.csv", "CITATION.txt", "README.txt"),
    } == set(archive.files)
    assert archive.about["code"]["code_sha256"] == "c" * 64
    assert cli.main(["replicate", str(zipped)]) == 0
    said = capsys.readouterr().out
    assert "figures of 2 tables and figures came out again" in said
    assert "warning: the code here is not what made the archive" in said
    assert "SAMPLE DATA" in said


def test_an_estimate_that_does_not_come_out_ends_in_an_error_that_names_it(candidate, study, capsys) -> None:
    path = candidate / "data" / "estimates" / "estimates.parquet"
    estimates = pd.read_parquet(path)
    wrong = estimates.index[(estimates["exhibit"] == "table_2") & (estimates["term"] == "treated")][0]
    estimates.loc[wrong, "estimate"] *= 1.01
    estimates.to_parquet(path, index=False)
    export(candidate, study)
    assert cli.main(["replicate", str(candidate / "exports" / "carbon_market.zip")]) == 1
    assert "table_2   (1) treated estimate" in capsys.readouterr().out


def test_a_file_that_is_not_there_is_a_sentence(capsys) -> None:
    assert cli.main(["replicate", "nowhere.zip"]) == 1
    assert capsys.readouterr().err == "pilotcity: There is no file nowhere.zip.\n"


def test_the_descriptor_describes_every_file_with_types(candidate, study) -> None:
    downloads.complete_dictionary(PATHS, candidate, [study])
    package = json.loads(downloads.write_descriptor(candidate).read_text(encoding="utf-8"))
    panel = next(r for r in package["resources"] if r["name"] == "panels.carbon_market")
    types = {field["name"]: field["type"] for field in panel["schema"]["fields"]}
    assert (types["city_code"], types["year"], types["ln_pgdp"]) == ("string", "integer", "number")
    assert next(f for f in panel["schema"]["fields"] if f["name"] == "secondary")["title"] == "Secondary sector / GDP"


def test_comments_reach_the_database_with_quotes_whole(candidate, study) -> None:
    table = downloads.complete_dictionary(PATHS, candidate, [study])
    path = candidate / "data" / "panels" / "data_dictionary.parquet"
    table.assign(
        definition=table["definition"].where(table["column_name"] != "secondary", "A city's \"own\"; it's so.")
    ).to_parquet(path)
    with duckdb.connect(str(database.write(candidate)), read_only=True) as connection:
        found = dict(
            connection.execute(
                "select column_name, comment from duckdb_columns() where table_name = 'carbon_market'"
            ).fetchall()
        )
    assert found["secondary"].endswith("A city's \"own\"; it's so.")
    assert found["city_code"] == "SAMPLE DATA. City code / 城市代码 [text]. Six-digit GB/T 2260 code as of 2021."


@pytest.fixture
def package(candidate, study, tmp_path, monkeypatch) -> tuple[Path, list[str]]:
    """The package of the small study, built from a publication that holds nothing else, with its faults."""
    export(candidate, study)
    paths = Paths(tmp_path, tmp_path / "sample", is_sample=True)
    (tmp_path / "published").symlink_to(candidate)
    folder = tmp_path / "package"
    return folder, submission.build(paths, "carbon_market", "cie", folder)


def test_a_package_is_computed_in_its_own_folder_and_each_item_of_the_list_is_a_fault_where_broken(
    package, tmp_path
) -> None:
    folder, faults = package
    assert faults == []
    assert "exit code 0" in (folder / "logs" / "run.log").read_text(encoding="utf-8")
    readme = (folder / "README.md").read_text(encoding="utf-8")
    assert "SAMPLE DATA" in readme and "carbon_market" in readme
    assert all(f"# {heading}" in readme for heading in HEADINGS)
    assert "样本数据" in (folder / "README.zh.md").read_text(encoding="utf-8")
    spoilt = tmp_path / "spoilt"
    shutil.copytree(folder, spoilt)
    (spoilt / "raw").mkdir()
    for name, spoil, said in (
        ("LICENSE.txt", lambda path: path.unlink(), "LICENSE.txt is missing"),
        ("logs/run.log", lambda path: path.write_text("exit code 1"), "does not say that every number"),
        ("README.md", lambda path: _replace(path, "## Dataset list", "## Files"), "lacks 'Dataset list'"),
        ("data/estimates.csv", lambda path: _replace(path, ",", ";"), "estimates.csv is not what"),
        ("data/a.zip", lambda path: path.write_bytes(b""), "a.zip is an archive"),
        ("scripts/x.do", lambda path: path.write_text("use /home/me/x.dta"), "path of one machine"),
        (".DS_Store", lambda path: path.touch(), "is hidden or generated"),
        ("data/my file.csv", lambda path: path.touch(), "works on every system"),
        ("raw/y.csv", lambda path: path.touch(), "is here, though"),
        ("output/table_2.tex", lambda path: path.unlink(), "output/table_2.tex is missing"),
        ("scripts/table_2.R", lambda path: path.unlink(), "program scripts/table_2.R is missing"),
        ("data/dictionary.csv", lambda path: _replace(path, "ln_pgdp", "other"), "does not describe"),
    ):
        spoil(spoilt / name)
        assert any(said in fault for fault in check(spoilt, "cie")), name
        if (folder / name).exists():
            shutil.copyfile(folder / name, spoilt / name)
        else:
            (spoilt / name).unlink()
    assert check(spoilt, "cie") == []


#: Stands for the code of a package: publishes what it finds in the raw folder, under the name of the study.
RUN = """
import os, pathlib, sys
import pandas as pd
data = pathlib.Path(os.environ["PILOTCITY_DATA"])
target = data / "published" / "data" / "estimates" / "estimates.parquet"
target.parent.mkdir(parents=True)
value = float((data / "raw" / "a" / "x.csv").read_text())
row = {"study": sys.argv[-1], "exhibit": "table_1", "model": "(1)", "term": "did", "status": "ok"}
pd.DataFrame([row | {"estimate": value, "se": 0.1, "p": 0.2, "n": 9.0, "r2": 0.3}]).to_parquet(target)
"""


def test_a_package_is_computed_from_raw_files_only_where_each_is_the_one_that_was_read(tmp_path) -> None:
    folder, raw, said = tmp_path / "package", tmp_path / "mine", []
    stated = pd.DataFrame([["carbon_market", "table_1", "(1)", "did", "ok", 1.5, 0.1, 0.2, 9.0, 0.3]])
    stated.columns = ["study", "exhibit", "model", "term", "status", "estimate", "se", "p", "n", "r2"]
    code = folder / "code" / "dagster_project"
    for path in (code, folder / "data", raw / "a"):
        path.mkdir(parents=True)
    (code / "__init__.py").touch()
    (code / "cli.py").write_text(RUN)
    stated.to_parquet(folder / "data" / "estimates.parquet")
    about = {"study": "carbon_market", "is_sample": False, "panel_from_file": False}
    (folder / "data" / "about.json").write_text(json.dumps(about))
    listed = f"source,file,sha256,included\nroads,a/x.csv,{hashlib.sha256(b'1.5').hexdigest()},no\n"
    (folder / RAW_FILES).write_text(listed)
    assert recompute_from_raw(folder, raw, said.append) == 2
    assert said == ["a/x.csv (roads) is missing; README.md says how to get it."]
    said.clear()
    (raw / "a" / "x.csv").write_text("1.6")
    assert recompute_from_raw(folder, raw, said.append) == 2
    assert said == ["a/x.csv (roads) is not the file that was read: its SHA-256 is another."]
    assert not (folder / "from_raw").exists()
    (raw / "a" / "x.csv").write_text("1.5")
    assert recompute_from_raw(folder, raw, said.append) == 0, said
    assert "exit code 0" in (folder / FROM_RAW_LOG).read_text(encoding="utf-8")
    shutil.rmtree(folder / "from_raw")
    stated.assign(estimate=1.6).to_parquet(folder / "data" / "estimates.parquet")
    assert recompute_from_raw(folder, raw, said.append) == 1
    assert "1.6" in (folder / FROM_RAW_LOG).read_text(encoding="utf-8")
    (folder / "data" / "about.json").write_text(json.dumps(about | {"panel_from_file": True}))
    assert recompute_from_raw(folder, raw, said.append) == 2


def _replace(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


@pytest.mark.parametrize(
    ("licence", "free"),
    [
        ("CC BY 4.0", True),
        ("Creative Commons, CC-BY-SA 3.0", True),
        ("CC0", True),
        ("public domain", True),
        ("CC BY-NC 4.0", False),
        ("none stated", False),
        ("", False),
        ("free for research, citation asked", False),
        ("Published for sale; no licence to redistribute is stated. Keep the files local.", False),
        ("CC BY 4.0 for the paper; the data may not be redistributed", False),
    ],
)
def test_raw_files_are_handed_on_only_where_their_licence_says_so(licence, free) -> None:
    assert may_be_included(licence) is free


def test_a_package_of_a_study_that_nothing_holds_is_refused(tmp_path) -> None:
    paths = Paths(tmp_path, tmp_path / "sample", is_sample=True)
    with pytest.raises(FileNotFoundError, match="pilotcity run --studies nothing"):
        submission.build(paths, "nothing", "aea", tmp_path / "package")
