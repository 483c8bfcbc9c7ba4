"""The command line on a publication made here: what each command prints, and one sentence on stderr where it cannot."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import dagster as dg
import pandas as pd
import pytest

from dagster_project import cli, definitions, publication
from dagster_project.commands import sources
from dagster_project.paths import ROOT


@pytest.fixture
def data(paths, tmp_path, monkeypatch):
    """The environment of an installation with an empty raw folder."""
    (tmp_path / "raw").mkdir()
    monkeypatch.setenv("PILOTCITY_DATA", str(paths.data))
    monkeypatch.setenv("PILOTCITY_RAW", str(tmp_path / "raw"))
    monkeypatch.setattr(publication, "fingerprint", lambda paths: {"raw": "there abc", "code": "d", "lock": "e"})
    return paths


@pytest.fixture
def published(data, candidate):
    """Three publications."""
    for number in (1, 2, 3):
        candidate(number)
        publication.publish(data)
    return data


def refuses(capsys, *arguments: str) -> str:
    """The sentence that a command fails with."""
    assert cli.main(arguments) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("pilotcity: ")
    assert "Traceback" not in printed.err
    return printed.err


def test_a_query_prints_a_table(published, capsys):
    assert cli.main(["query", "select city_code, gdp from panels.city_year order by 1"]) == 0
    assert [line.split() for line in capsys.readouterr().out.splitlines()] == [
        ["city_code", "gdp"],
        ["110000", "3.0"],
        ["310000", "NaN"],
    ]


def test_a_query_prints_csv_with_nothing_around_it(published, capsys):
    assert cli.main(["query", "--csv", "select city_code, gdp from panels.city_year order by 1"]) == 0
    assert capsys.readouterr().out == "city_code,gdp\n110000,3\n310000,\n"


def test_text_in_that_csv_cannot_run_as_a_formula_and_numbers_keep_their_sign(published, capsys):
    assert cli.main(["query", "--csv", "select '=1+1' as a, -1.5 as b"]) == 0
    assert capsys.readouterr().out == "a,b\n'=1+1,-1.5\n"


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".xlsx", ".dta", ".json"])
def test_a_query_writes_what_it_would_print_to_a_file_marked_as_sample(published, capsys, tmp_path, suffix):
    path = tmp_path / f"结果{suffix}"
    sql = "select city_code, gdp, '=1+1' as \"说明\" from panels.city_year order by 1"
    assert cli.main(["query", sql, "-o", str(path)]) == 0
    assert capsys.readouterr().out == f"2 rows in {path} (SAMPLE DATA)\n"
    read = {".csv": pd.read_csv, ".parquet": pd.read_parquet, ".dta": pd.read_stata}
    read |= {".xlsx": lambda path: pd.read_excel(path, engine="calamine")}
    found = read.get(suffix, pd.read_json)(path, **({"dtype": str} if suffix in (".csv", ".json") else {}))
    assert [str(code) for code in found.iloc[:, 0]] == ["110000", "310000"]
    assert float(found["gdp"].iloc[0]) == 3 and pd.isna(pd.to_numeric(found["gdp"], errors="coerce").iloc[1])
    assert found.iloc[0, 2] in ("=1+1", "'=1+1")
    if suffix == ".xlsx":
        assert pd.ExcelFile(path, engine="calamine").sheet_names == ["SAMPLE DATA"]
    first = path.read_bytes()
    assert cli.main(["query", sql, "-o", str(path)]) == 0
    assert path.read_bytes() == first
    if suffix != ".xlsx":
        assert b"SAMPLE DATA" in first


def test_a_file_of_no_known_kind_is_refused_before_anything_is_asked(published, capsys, tmp_path):
    assert ".xlsx" in refuses(capsys, "query", "select 1", "-o", str(tmp_path / "a.pdf"))
    assert not (tmp_path / "a.pdf").exists()


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("select nope from panels.city_year", '"nope" not found'),
        ("selec 1", "syntax error"),
        ("select * from panels.nothing", "nothing does not exist"),
        ("create table panels.x as select 1", "read-only"),
        ("select * from read_csv('/etc/hostname')", "disabled"),
        ("from '/etc/hostname'", "does not exist"),
        ("select * from read_text('/etc/hostname')", "disabled"),
        ("select * from read_parquet('/tmp/*.parquet')", "disabled"),
        ("select * from glob('/*')", "disabled"),
        ("copy (select 1) to '/tmp/leak.csv'", "disabled"),
        ("export database '/tmp/leak'", "disabled"),
        ("attach '/tmp/other.duckdb' as other", "disabled"),
        ("install httpfs", "disabled"),
        ("load httpfs", "disabled"),
        ("set enable_external_access = true", "Cannot change configuration"),
        ("set profiling_output = '/tmp/leak.json'", "Cannot change configuration"),
        ("pragma profiling_output = '/tmp/leak.json'", "Cannot change configuration"),
        ("pragma enable_profiling = 'json'", "Cannot change configuration"),
        ("drop table panels.city_year", "read-only"),
        ("delete from panels.city_year", "read-only"),
        ("", ""),
        (";", ""),
        ("-- nothing", ""),
    ],
)
def test_a_query_that_cannot_be_answered_says_why(published, capsys, sql, said):
    assert said in refuses(capsys, "query", sql)


@pytest.mark.parametrize("command", [["query", "select 1"], ["sql"], ["rollback"]])
def test_before_the_first_run_every_reader_is_told_what_to_do(data, capsys, command):
    assert "Nothing is published yet" in refuses(capsys, *command)


def test_the_prompt_answers_and_survives_a_bad_query(published, capsys, monkeypatch):
    lines = iter(["select max(gdp)", "from panels.city_year;", "selec 1;", "select 7 as seven;"])

    def answer(prompt: str) -> str:
        try:
            return next(lines)
        except StopIteration:
            raise EOFError from None

    monkeypatch.setattr("builtins.input", answer)
    assert cli.main(["sql"]) == 0
    printed = capsys.readouterr().out
    assert "SAMPLE DATA" in printed
    assert "panels.city_year" in printed
    assert "3.0" in printed
    assert "syntax error" in printed
    assert "seven" in printed


def test_rollback_goes_one_back_or_to_a_number(published, capsys):
    page = published.reports / "index.html"
    assert cli.main(["rollback"]) == 0
    assert page.read_text() == "publication 2"
    assert "now see publication 2 (was 3)" in capsys.readouterr().out
    assert cli.main(["rollback", "3"]) == 0
    assert page.read_text() == "publication 3"
    assert cli.main(["rollback", "1"]) == 0
    assert page.read_text() == "publication 1"
    capsys.readouterr()
    assert "kept are 1, 2, 3, current is 1" in refuses(capsys, "rollback")
    assert "no such publication" in refuses(capsys, "rollback", "9")


def test_nothing_is_rolled_back_while_a_run_may_publish_and_clear_away(published, capsys):
    from dagster_project.resources import exclusive

    with exclusive(published.run_lock):
        assert "go back after that" in refuses(capsys, "rollback")
    assert published.published.resolve().name == "3"


def test_sources_says_what_each_contract_found_how_to_get_the_rest_and_what_nothing_claims(data, capsys):
    (data.raw.parent.parent / "raw" / "汇率.xlsx").touch()
    (data.raw.parent.parent / "raw" / "notes.docx").touch()
    assert cli.main(["sources"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("exchange_rate") and " 1 file" in line for line in lines)
    missing = next(n for n, line in enumerate(lines) if line.startswith("road_area"))
    assert "MISSING" in lines[missing]
    assert "to get it:" in lines[missing + 1]
    assert lines[-1] == "no contract claims notes.docx"


def test_a_raw_folder_that_is_not_there_is_named(data, capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("PILOTCITY_RAW", str(tmp_path / "nowhere"))
    assert "nowhere does not exist; PILOTCITY_RAW names it" in refuses(capsys, "run")


def test_a_file_in_the_place_of_the_data_folder_is_named(data, capsys, monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("PILOTCITY_DATA", str(tmp_path / "file"))
    assert f"PILOTCITY_DATA names {tmp_path / 'file'}, which is a file" in refuses(capsys, "run")


def test_a_terminal_without_chinese_is_shown_escapes_and_names_are_safe_to_print(data, monkeypatch, tmp_path):
    (tmp_path / "raw" / "a\nb\x1b[2J.csv").touch()
    (tmp_path / "raw" / "链接.csv").symlink_to("/etc/hostname")
    called = [sys.executable, "-m", "dagster_project.cli", "sources"]
    environment = os.environ | {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = subprocess.run(called, capture_output=True, env=environment, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr[-500:]
    printed = done.stdout.decode("ascii")
    assert r"no contract claims a\nb\x1b[2J.csv" in printed
    assert r"\u94fe\u63a5.csv is a link that leads out of the raw folder" in printed


def test_a_run_beside_another_says_so_at_once(data, capsys):
    from dagster_project.resources import exclusive

    with exclusive(data.run_lock):
        assert cli.main(["run"]) == 1
    printed = capsys.readouterr()
    assert printed.out.startswith("pilotcity: raw files in ") and printed.out.count("\n") == 1
    assert printed.err.startswith("pilotcity: Another run is going on")


def test_ctrl_c_in_a_step_ends_a_run_in_a_sentence_and_is_no_failed_refresh(published, capsys, monkeypatch):
    @dg.asset
    def one() -> None:
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(10)

    job = dg.define_asset_job(definitions.REFRESH, dg.AssetSelection.all())
    monkeypatch.setattr(definitions, "build", lambda paths, *given: dg.Definitions([one], jobs=[job]))
    monkeypatch.setenv("DAGSTER_HOME", "")
    assert cli.main(["run", "--force"]) == 130
    said = capsys.readouterr().err
    assert "nothing was published and readers keep what they had" in said
    assert "failed" not in said
    assert not published.refresh_failed.exists()


def test_ctrl_c_in_any_command_ends_it_without_a_trace(published, capsys, monkeypatch):
    def wait(paths, options):
        raise KeyboardInterrupt

    monkeypatch.setattr(sources, "main", wait)
    assert cli.main(["sources"]) == 130
    assert capsys.readouterr().err.strip() == "pilotcity: stopped."


def test_a_mistake_of_ours_is_told_apart_from_what_a_user_can_mend(data, capsys, monkeypatch):
    monkeypatch.setattr(sources, "main", lambda paths, options: pd.Timestamp("the thirteenth month"))
    assert cli.main(["sources"]) == 1
    said = capsys.readouterr().err
    assert "This was not foreseen" in said and "Traceback" in said and "test_cli.py" in said


def test_an_unknown_command_shows_what_there_is(data, capsys):
    with pytest.raises(SystemExit) as caught:
        cli.main(["publish"])
    assert caught.value.code == 2
    assert "rollback" in capsys.readouterr().err


def test_relative_folders_are_relative_to_where_the_command_is_called(monkeypatch, tmp_path):
    from dagster_project.paths import Paths

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PILOTCITY_DATA", "out")
    monkeypatch.setenv("PILOTCITY_RAW", "mine")
    paths = Paths.from_environment()
    assert (paths.data, paths.raw, paths.is_sample) == (tmp_path / "out", tmp_path / "mine", False)
    monkeypatch.delenv("PILOTCITY_RAW")
    assert Paths.from_environment().is_sample
    (tmp_path / "out" / "raw").mkdir(parents=True)
    assert Paths.from_environment().is_sample
    (tmp_path / "out" / "raw" / "汇率.xlsx").touch()
    assert Paths.from_environment().raw == tmp_path / "out" / "raw"
    assert not Paths.from_environment().is_sample
    monkeypatch.delenv("PILOTCITY_DATA")
    assert Paths.from_environment().data == ROOT / "data"


def test_a_reader_that_has_seen_enough_ends_a_command_without_a_trace(published):
    command = f"{sys.executable} -m dagster_project.cli query 'select range from range(200000)' | head -1"
    ended = subprocess.run(["bash", "-c", f"set -o pipefail; {command}"], capture_output=True, text=True, cwd=ROOT)
    assert ended.stdout.strip() == "range"
    assert ended.stderr == ""
