"""A new study from the template of this package: its YAML and its list of cities.

What a study may say is decided in `spec`; nothing is overwritten here.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path

from analysis.studies.spec import PANEL_TABLES

TEMPLATE = Path(__file__).parent / "template"
#: File of the template -> where it goes in the project.
TARGETS = {
    "study.yaml": "analysis/studies/{name}.yaml",
    "policy.csv": "data/policies/{name}.csv",
}
#: Longest name: it is a file, a table, a page and a group of assets.
LONGEST = 40
#: First parts of asset keys, and schemas, which a study's own assets must not run into.
RESERVED: tuple[str, ...] = (
    *PANEL_TABLES,
    *("raw", "staging", "intermediate", "panels", "scores", "quality", "lineage", "estimates"),
    *("report", "publication", "index", "warehouse", "dictionary", "data_docs", "files", "exports"),
)


def new_study(name: str, root: Path, *, reserved: Collection[str] = ()) -> list[Path]:
    """Write a study called ``name`` into the project at ``root``; returns the files written.

    Parameters
    ----------
    reserved
        Further words that cannot be names, such as those of SQL.

    Raises
    ------
    ValueError
        A name that is no identifier, is too long, is reserved, or is taken by any file that would be written.
    """
    _check(name, root, {*RESERVED, *reserved})
    title = name.replace("_", " ").capitalize()
    written = []
    for source, target in TARGETS.items():
        path = root / target.format(name=name)
        text = (TEMPLATE / source).read_text(encoding="utf-8").replace("NEW_STUDY", name).replace("NEW_TITLE", title)
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8", newline="\n") as file:
            file.write(text)
        written.append(path)
    return written


def _check(name: str, root: Path, reserved: Collection[str]) -> None:
    if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name):
        raise ValueError(
            f"{name!r} cannot be a study's name: use lower-case letters a-z, digits and single underscores, a letter "
            f"first, as in {_suggestion(name)!r}."
        )
    if len(name) > LONGEST:
        raise ValueError(f"The name {name!r} has {len(name)} characters; {LONGEST} are the most.")
    if name in reserved:
        raise ValueError(
            f"{name!r} means something else in the warehouse; choose another name, such as '{name}_pilot'."
        )
    models = {path.stem for path in (root / "dbt" / "models").rglob("*.sql")}
    taken = [target.format(name=name) for target in TARGETS.values() if (root / target.format(name=name)).exists()]
    if taken or name in models:
        where = taken[0] if taken else f"the dbt model {name}"
        raise ValueError(f"The name {name!r} is taken: {where} exists. Choose another, or edit what is there.")


def _suggestion(name: str) -> str:
    word = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")
    word = re.sub(r"^[0-9_]+", "", word)
    return word[:LONGEST].strip("_") or "carbon_market"
