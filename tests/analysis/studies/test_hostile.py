"""Study files made to do harm, and study files damaged at random: a study, or a ValueError that names the file."""

from __future__ import annotations

import random
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from analysis.studies import spec
from analysis.studies.reading import plain, read

PATH = spec.catalogue()["low_carbon_cities"]
TEXT = PATH.read_text(encoding="utf-8")
NAMES = spec.known()
LAUGHS = "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 12))
#: What a line may turn into.
ODD = (
    *(
        "!!python/object/apply:os.system [x]",
        "&a [*a]",
        "1e400",
        ".nan",
        "0x7fffffffffffffffffff",
        "'; drop table x; --",
    ),
    *(
        "'; drop table x; --",
        "../../etc/passwd",
        "${HOME}",
        "{{ 7 * 7 }}",
        "=1+1",
        "[" * 60,
        "? {a: b}",
        "\t",
        "~",
        "🙂" * 40,
    ),
)
CHARACTERS = (0, 9, 34, 35, 38, 42, 58, 91, 123, 0x2028, 0x1F600)


def load(text: str, folder: Path) -> spec.Study | str:
    """The study, or the sentence with which it was refused."""
    path = folder / PATH.name
    path.write_text(text, encoding="utf-8", newline="")
    try:
        return spec.load(path, NAMES)
    except ValueError as error:
        return str(error)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("study: !!python/object/apply:os.system ['touch {proof}']\n", "line 1: the tag"),
        ("study: !!binary x\n", "line 1: the tag"),
        (LAUGHS, "line 1: anchors (&) and aliases (*)"),
        ("a: &a [*a]\n", "anchors"),
        ("[" * 100_000, "more than 50 deep"),
        ("study: low_carbon_cities\nstudy: x\n", "stands twice"),
        ("%YAML 9.9\n---\nx\n", "low_carbon_cities.yaml"),
        ("", "is empty"),
    ],
)
def test_a_study_made_to_do_harm_is_refused(tmp_path, text, sentence):
    proof = tmp_path / "proof"
    said = load(text.replace("{proof}", str(proof)), tmp_path)
    assert isinstance(said, str)
    assert sentence in said
    assert len(said) < 1000
    assert not proof.exists()


def test_names_that_would_be_sql_or_paths_are_refused(tmp_path):
    """A study's names become tables, columns and files."""
    for bad in ("gti1; drop table x", "../escape", 'a"b', "a b", ""):
        for line in ("study: low_carbon_cities", "treatment: low_carbon"):
            assert line in TEXT
            key = line.partition(":")[0]
            said = load(TEXT.replace(line, f"{key}: '{bad}'", 1), tmp_path)
            assert isinstance(said, str), (key, bad)
            assert PATH.name in said


def damaged(chance: random.Random) -> str:
    """The study with a few lines changed, dropped, repeated, moved or indented otherwise."""
    lines = TEXT.splitlines()
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(lines))
        match chance.randrange(6):
            case 0:
                del lines[at]
            case 1:
                lines.insert(at, chance.choice(lines))
            case 2:
                key, colon, _ = lines[at].partition(":")
                lines[at] = f"{key}{colon} {chance.choice(ODD)}"
            case 3:
                lines[at] = " " * chance.randint(0, 6) + lines[at].lstrip()
            case 4:
                text = lines[at]
                cut = chance.randint(0, len(text))
                lines[at] = text[:cut] + chr(chance.choice(CHARACTERS)) + text[cut:]
            case 5:
                other = chance.randrange(len(lines))
                lines[at], lines[other] = lines[other], lines[at]
    return "\n".join(lines) + "\n"


def test_the_study_as_it_stands_is_one(tmp_path):
    assert not isinstance(load(TEXT, tmp_path), str)


def try_many(times: int, seed: int) -> tuple[int, int]:
    chance = random.Random(seed)
    loaded = refused = 0
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(times):
            found = load(damaged(chance), Path(folder))
            if isinstance(found, str):
                assert PATH.name in found, found
                assert folder not in found, "the sentence tells of a folder of this machine"
                refused += 1
            else:
                loaded += 1
    return loaded, refused


def test_a_damaged_study_is_a_study_or_a_sentence_that_names_the_file():
    loaded, refused = try_many(40, seed=1)
    assert loaded + refused == 40
    assert loaded
    assert refused > 10


@pytest.mark.torture
def test_two_thousand_damaged_studies():
    loaded, refused = try_many(2000, seed=2)
    print(f"\nstudies: 2000 tried, {loaded} still a study, {refused} refused with a sentence, nothing else")
    assert loaded + refused == 2000
    assert refused > 400


@settings(max_examples=100, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.recursive(
        st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20)),
        lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=8), inner, max_size=4)),
        max_leaves=12,
    )
)
def test_any_plain_values_are_read_back_or_refused(tree):
    import io

    from ruamel.yaml import YAML

    stream = io.StringIO()
    YAML(typ="safe", pure=True).dump(tree, stream)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "any.yaml"
        path.write_text(stream.getvalue(), encoding="utf-8", newline="")
        try:
            found = plain(read(path))
        except ValueError as error:
            assert "any.yaml" in str(error)
        else:
            assert type(found) is type(tree) or tree != tree


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(text):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "any.yaml"
        path.write_text(text, encoding="utf-8", newline="", errors="replace")
        try:
            plain(read(path))
        except ValueError as error:
            assert "any.yaml" in str(error)
