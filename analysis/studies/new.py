"""A new study in the own folder: from the template of this package with its list of cities, or drafted from a file.

What a study may say is decided in `spec`; nothing is overwritten here.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Collection, Mapping
from pathlib import Path

from analysis.studies.draft import Draft, guess, written
from analysis.studies.records import Known
from analysis.studies.spec import PANEL_TABLES, load
from analysis.studies.table_file import read_table

TEMPLATE = Path(__file__).parent / "template"
#: File of the template -> where it goes in the own folder.
TARGETS = {"study.yaml": "studies/{name}.yaml", "policy.csv": "policies/{name}.csv"}
#: Longest name: it is a file, a table, a page and a group of assets.
LONGEST = 40
#: First parts of asset keys, and schemas, which a study's own assets must not run into.
RESERVED: tuple[str, ...] = (
    *PANEL_TABLES,
    *("raw", "staging", "intermediate", "panels", "scores", "quality", "lineage", "estimates"),
    *(
        "report",
        "publication",
        "index",
        "warehouse",
        "dictionary",
        "checks",
        "city",
        "cities",
        "variable",
        "trace",
        "assets",
        "data_docs",
        "files",
        "exports",
    ),
)


def new_study(
    name: str, own: Path, *, reserved: Collection[str] = (), taken: Mapping[str, str] | None = None
) -> list[Path]:
    """Write a study called ``name`` into the own folder; returns the files written.

    Parameters
    ----------
    reserved
        Further words that cannot be names, such as those of SQL.
    taken
        Names that are something already -> what and where.

    Raises
    ------
    ValueError
        A name that is no identifier, is too long, is reserved, or is taken.
    """
    _check(name, own, reserved, taken or {})
    title = name.replace("_", " ").capitalize()
    made = {
        own / target.format(name=name): (TEMPLATE / source)
        .read_text(encoding="utf-8")
        .replace("NEW_STUDY", name)
        .replace("NEW_TITLE", title)
        for source, target in TARGETS.items()
    }
    for path, text in made.items():
        _write(path, text)
    return list(made)


def study_of_file(
    name: str,
    own: Path,
    file: Path,
    names: Known,
    *,
    reserved: Collection[str] = (),
    taken: Mapping[str, str] | None = None,
) -> tuple[Path, Draft]:
    """Write a study whose panel is a file: the file into panels/ of the own folder, and a draft of its YAML.

    Parameters
    ----------
    names
        What studies may refer to, as `spec.known` returns it.

    Raises
    ------
    ValueError
        A name as in `new_study`, a file that cannot be read or is no panel, another file of its name in panels/.
        Nothing is written then.
    """
    _check(name, own, reserved, taken or {})
    table = read_table(file)
    draft = guess(table, names.places)
    placed = own / "panels" / file.name
    copied = placed.resolve() != file.resolve()
    if copied and placed.exists() and placed.read_bytes() != file.read_bytes():
        raise ValueError(f"{placed} is another file of that name; rename one.")
    copied &= not placed.exists()
    path = own / TARGETS["study.yaml"].format(name=name)
    title = name.replace("_", " ").capitalize()
    try:
        if copied:
            placed.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, placed)
        _write(path, written(name, title, f"panels/{file.name}", draft, table))
        load(path, names)
    except BaseException:
        path.unlink(missing_ok=True)
        if copied:
            placed.unlink(missing_ok=True)
        raise
    return path, draft


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("x", encoding="utf-8", newline="\n") as file:
        file.write(text)


def _check(name: str, own: Path, reserved: Collection[str], taken: Mapping[str, str]) -> None:
    if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name):
        raise ValueError(
            f"{name!r} cannot be a study's name: use lower-case letters a-z, digits and single underscores, a letter "
            f"first, as in {_suggestion(name)!r}."
        )
    if len(name) > LONGEST:
        raise ValueError(f"The name {name!r} has {len(name)} characters; {LONGEST} are the most.")
    if name in {*RESERVED, *reserved}:
        raise ValueError(
            f"{name!r} means something else in the warehouse; choose another name, such as '{name}_pilot'."
        )
    files = [own / target.format(name=name) for target in TARGETS.values()]
    where = taken.get(name) or next((str(path) for path in files if path.exists()), None)
    if where:
        raise ValueError(f"The name {name!r} is taken: {where} exists. Choose another, or edit what is there.")


def _suggestion(name: str) -> str:
    word = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")
    word = re.sub(r"^[0-9_]+", "", word)
    return word[:LONGEST].strip("_") or "carbon_market"
