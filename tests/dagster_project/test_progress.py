"""What a run shows while it lasts and at its end, in a file and in a terminal."""

from __future__ import annotations

import io
import re
import time
from types import SimpleNamespace

import duckdb
import pandas as pd
import pytest

from dagster_project import outcome, progress, state
from dagster_project.ingest import contracts
from dagster_project.ingest.refresh import refresh
from dagster_project.paths import CONTRACTS, Paths
from dagster_project.progress import Progress, Screen
from dagster_project.resources import TABLES


def event(name: str, step: str, **details) -> SimpleNamespace:
    inner = SimpleNamespace(event_type_value=name, step_key=step, event_specific_data=SimpleNamespace(**details))
    return SimpleNamespace(dagster_event=inner, step_key=step, level=10, user_message="")


def message(step: str, text: str) -> SimpleNamespace:
    return SimpleNamespace(dagster_event=None, step_key=step, level=20, user_message=text)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_finished_step_is_a_plain_line_with_its_place_and_seconds(capsys):
    with Screen() as screen:
        shown = Progress(screen, ["raw__patents", "dbt_models"])
        shown(event("STEP_START", "raw__patents"))
        shown(event("STEP_SUCCESS", "raw__patents"))
    (line,) = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"  \[  1/2\] raw__patents +0\.0 s", line)


@pytest.mark.parametrize(
    ("files", "told"),
    [(["patents/2021.csv"], "read patents/2021.csv"), (["a.csv", "b.csv", "c.csv"], "read 3 files")],
)
def test_files_that_a_step_reads_are_told_in_its_one_line(capsys, tmp_path, files, told):
    said = []
    for name in files:
        (tmp_path / "raw" / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / "raw" / name).write_text("")
    with duckdb.connect(str(tmp_path / "warehouse.duckdb")) as connection:
        connection.execute(TABLES)
        contract = contracts.load(CONTRACTS / "road_area.yaml").model_copy(update={"files": ["**/*.csv"]})
        refresh(connection, tmp_path / "raw", contract, said.append)
    with Screen() as screen:
        shown = Progress(screen, ["raw__patents"])
        shown(event("STEP_START", "raw__patents"))
        for text in said:
            shown(message("raw__patents", text))
        assert files[-1] in screen._now()
        shown(event("STEP_SUCCESS", "raw__patents"))
    (line,) = capsys.readouterr().out.splitlines()
    assert line.endswith(f"0.0 s  {told}")


def test_a_long_step_is_never_silent_and_says_what_is_left(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(progress, "FIRST", 0.1)
    monkeypatch.setattr(progress, "SILENCE", 0.1)
    state.write_json(tmp_path / progress.REMEMBERED, {"dbt_models": 600, "raw__patents": 5})
    with Screen() as screen:
        screen.doing("reading contracts, studies and models")
        time.sleep(0.7)
        shown = Progress(screen, ["raw__patents", "dbt_models"], tmp_path)
        shown(event("STEP_START", "raw__patents"))
        shown(event("STEP_SUCCESS", "raw__patents"))
        shown(event("STEP_START", "dbt_models"))
        print("7 of 121 OK created sql table model staging.stg_yearbook ......... [OK in 1.20s]")
        time.sleep(0.7)
    said = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r" +… reading contracts, studies and models \(\d s\)", said[0])
    assert re.fullmatch(
        r" +… dbt_models: 7 of 121 models and checks \(\d s\), 1 of 2 steps done, about 10 min left", said[-1]
    )


@pytest.mark.parametrize("verbose", [False, True])
def test_lines_of_dbt_are_printed_only_where_they_are_asked_for(capsys, verbose):
    with Screen(verbose=verbose) as screen:
        shown = Progress(screen, ["dbt_models", "report__site"])
        shown(event("STEP_START", "dbt_models"))
        print("Concurrency: 1 threads (target='duckdb')")
        shown(event("STEP_SUCCESS", "dbt_models"))
        shown(event("STEP_START", "report__site"))
        print("what a step itself prints")
    said = capsys.readouterr().out
    assert ("Concurrency" in said) == verbose
    assert "what a step itself prints" in said


def test_how_long_steps_took_is_kept_for_the_next_estimate(tmp_path):
    with Screen() as screen:
        shown = Progress(screen, ["report__site", "raw__patents"], tmp_path)
        assert shown.left() == progress.USUAL["report__site"] + progress.OTHER
        shown(event("STEP_START", "report__site"))
        shown(event("STEP_SUCCESS", "report__site"))
        shown.remember()
        again = Progress(screen, ["report__site", "raw__patents"], tmp_path)
    assert again.left() < progress.OTHER + 1


def test_a_slow_machine_is_taken_into_account_once_it_shows(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    with Screen() as screen:
        shown = Progress(screen, ["dbt_models", "report__site"])
        shown(event("STEP_START", "dbt_models"))
        now[0] = 3 * progress.USUAL["dbt_models"]
        shown(event("STEP_SUCCESS", "dbt_models"))
        assert shown.left() == pytest.approx(3 * progress.USUAL["report__site"])


def test_what_fails_and_what_warns_is_collected(capsys):
    with Screen() as screen:
        shown = Progress(screen, ["report__site"])
        key, warn = SimpleNamespace(path=["panels", "city_year"]), SimpleNamespace(value="WARN")
        shown(
            event(
                "ASSET_CHECK_EVALUATION",
                "dbt_models",
                passed=False,
                asset_key=key,
                check_name="range",
                description="",
                severity=warn,
            )
        )
        error = SimpleNamespace(cause=None, message="no such column", cls_name="ValueError")
        shown(event("STEP_FAILURE", "report__site", error=error))
    assert shown.warnings == ["panels/city_year, range: does not hold"]
    assert shown.failures == ["report__site: no such column"]
    assert capsys.readouterr().out.rstrip().endswith("FAILED")


def test_a_terminal_gets_colours_and_a_line_that_goes_away(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr("sys.stdout", terminal)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    with Screen() as screen:
        screen.doing("reading contracts")
        time.sleep(0.4)
        screen.say("Published in 3 s.", "good")
    shown = terminal.getvalue()
    assert "reading contracts (0 s)" in shown and "\x1b[1;32mPublished in 3 s." in shown
    assert shown.rindex("\x1b[2K") > shown.rindex("reading contracts"), "the moving line is wiped at the end"


@pytest.mark.parametrize(
    ("seconds", "said"), [(0, "1 s"), (59.4, "59 s"), (61, "1 min"), (3599, "1 h 0 min"), (8000, "2 h 13 min")]
)
def test_a_duration_is_said_as_a_person_says_it(seconds, said):
    assert progress.duration(seconds) == said


def test_a_run_ends_with_what_it_found_and_what_to_open(tmp_path):
    paths = Paths(tmp_path, tmp_path / "raw", is_sample=True)
    tables = {
        "quality/files": pd.DataFrame({"file": ["a", "b"], "source": ["yearbook", "patents"]}),
        "quality/rejects": pd.DataFrame({"rule": [*["jump"] * 3, "unknown_city", "a", "b", "c", "d"]}),
        "estimates/estimates": pd.DataFrame(
            {
                "study": "s",
                "exhibit": ["table_1", "table_2", "table_2"],
                "status": ["ok", "ok", "not identified"],
                "is_sample": True,
            }
        ),
    }
    for name, table in tables.items():
        target = tmp_path / "published" / "data" / f"{name}.parquet"
        target.parent.mkdir(parents=True, exist_ok=True)
        table.to_parquet(target)
    text = "\n".join(line for line, _ in outcome.lines(paths, 2))
    assert "2 read, of 2 sources" in text
    assert "8 cells and records: 3 jump, 1 unknown_city" in text and "2 by 2 other rules" in text
    assert "2 in 2 tables and figures of 1 studies; 1 have none, and say why" in text
    assert "2 checks hold only in part" in text
    assert "SAMPLE DATA" in text and "index.html in a browser" in text


def test_long_work_beside_an_answer_counts_its_parts_and_leaves_standard_output_alone(capsys, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    with Screen(aside=True) as screen:
        screen.part("table_1", 0, 4)
        assert screen._now() == "table_1 (0 s), 0 of 4 done"
        now[0] = 300
        screen.part("table_2", 1, 4)
        now[0] = 302
        assert screen._now() == "table_2 (2 s), 1 of 4 done, about 15 min left"
        print('{"answer": 1}')
        time.sleep(0.6)
    out, err = capsys.readouterr()
    assert out == '{"answer": 1}\n'
    assert err == "          … table_2 (2 s), 1 of 4 done, about 15 min left\n"
