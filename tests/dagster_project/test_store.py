"""Results kept by content: what is computed again and what is not, and what becomes of a result that is damaged."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from dagster_project.store import SEAL, Computation, Content, Store, canonical


@dataclass(frozen=True)
class Record:
    name: str
    file: Path
    words: frozenset[str]


@pytest.fixture
def counted(tmp_path):
    """A computation that writes down how often it was made."""
    source = tmp_path / "source"
    source.write_text("one")
    made: list[str] = []

    def make(folder: Path) -> None:
        made.append(source.read_text())
        (folder / "result").write_text(f"made of {made[-1]}")

    inputs = {"source": Content(source), "level": 0.05}
    return Computation("a/b", inputs, ("dagster_project.state",), make), source, made


def test_the_same_inputs_are_computed_once_whatever_the_clock_says(paths, counted):
    computation, source, made = counted
    version, folder = Store(paths).keep(computation)
    assert (folder / "result").read_text() == "made of one"
    for moment in (0, time.time() + 1e6):
        for path in (source, folder, *folder.iterdir()):
            os.utime(path, (moment, moment))
        assert Store(paths).keep(computation) == (version, folder)
    assert made == ["one"]


def test_another_content_a_number_and_the_code_make_it_another_result_and_back_again(paths, counted):
    computation, source, made = counted
    first, _ = Store(paths).keep(computation)
    others = [
        replace(computation, inputs={**computation.inputs, "level": 0.1}),
        replace(computation, modules=("dagster_project.status",)),
        replace(computation, name="a/c"),
    ]
    assert len({Store(paths).version(one) for one in (computation, *others)}) == 4
    source.write_text("two")
    second, folder = Store(paths).keep(computation)
    assert second != first
    assert (folder / "result").read_text() == "made of two"
    source.write_text("one")
    assert Store(paths).keep(computation)[0] == first
    assert made == ["one", "two"]
    source.unlink()
    assert Store(paths).version(computation) not in (first, second)


@pytest.mark.parametrize("name", ["result", SEAL])
@pytest.mark.parametrize("content", ["", "another", None])
def test_a_damaged_result_is_made_anew_with_a_sentence(paths, counted, capsys, name, content):
    computation, _, made = counted
    _, folder = Store(paths).keep(computation)
    (folder / name).unlink() if content is None else (folder / name).write_text(content)
    _, again = Store(paths).keep(computation)
    assert (again / "result").read_text() == "made of one"
    assert made == ["one", "one"]
    assert "the kept result a/b is damaged; it is made anew" in capsys.readouterr().err


def test_what_fails_or_is_killed_half_way_is_not_there(paths, counted):
    computation, *_ = counted

    def half(folder: Path) -> None:
        (folder / "result").write_text("half")
        raise KeyboardInterrupt

    store = Store(paths)
    with pytest.raises(KeyboardInterrupt):
        store.keep(replace(computation, make=half))
    assert store.is_missing(computation)
    assert list(store.folder.rglob("result")) == []


def test_an_input_that_changes_while_it_is_read_spoils_no_result(paths, counted):
    computation, source, _ = counted

    def disturbed(folder: Path) -> None:
        computation.make(folder)
        source.write_text("two")

    with pytest.raises(RuntimeError, match="changed while it was made"):
        Store(paths).keep(replace(computation, make=disturbed))
    source.write_text("one")
    assert Store(paths).is_missing(computation)


def test_a_forced_run_computes_once_more_and_only_once(paths, counted):
    computation, _, made = counted
    Store(paths).keep(computation)
    forced = Store(paths, afresh=True)
    assert forced.is_missing(computation)
    forced.keep(computation)
    forced.keep(computation)
    assert made == ["one", "one"]


def test_a_sweep_keeps_what_publications_hold_and_nothing_else(paths, counted):
    computation, source, _ = counted
    store = Store(paths)
    first, kept = store.keep(computation)
    source.write_text("two")
    _, other = store.keep(computation)
    left = other.with_name(".0123.99.new")
    left.mkdir()
    store.sweep({("a/b", first)})
    assert kept.is_dir()
    assert not other.exists()
    assert not left.exists()


def test_equal_records_have_one_canonical_form_wherever_their_files_lie():
    one = Record("gdp", Path("/here/study.yaml"), frozenset({"a", "b", "c"}))
    other = Record("gdp", Path("/there/study.yaml"), frozenset({"c", "b", "a"}))
    assert canonical(one) == canonical(other)
    assert canonical({"b": 1, "a": 2}) != canonical({"a": 2, "b": 1})
    assert canonical((1, 1.5, None, True, "1")) == [1, 1.5, None, True, "1"]
    with pytest.raises(TypeError, match="no canonical form"):
        canonical(object())
