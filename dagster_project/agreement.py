"""Second opinions on a publication's numbers, from its folder; what was asked of the same inputs is not asked again.

The engines are in `analysis.agreement`; here panels and estimates are read, and answers kept by content.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from dagster_project import overlay, store
from dagster_project.fingerprint import hash_files
from dagster_project.paths import Paths

if TYPE_CHECKING:
    from analysis.studies.records import Study

#: Below a publication's folder.
FILE = Path("data") / "estimates" / "agreement.parquet"


def read(folder: Path, study: str) -> pd.DataFrame | None:
    """The agreement of a study's numbers in a publication or candidate, None where it was not computed."""
    if not (folder / FILE).exists():
        return None
    table = pd.read_parquet(folder / FILE)
    return table[table["study"].eq(study)].reset_index(drop=True)


@dataclass(frozen=True)
class Question:
    """Numbers that are put to other engines together: an exhibit of a study, or one of its scores."""

    study: str
    name: str
    key: str
    ask: Callable[[], pd.DataFrame]


def of_study(
    paths: Paths,
    folder: Path,
    study: Study,
    exhibit: str | None = None,
    tell: Callable[[str], None] = lambda text: None,
    mine: Callable[[tuple[str, str]], bool] = lambda question: True,
) -> pd.DataFrame:
    """Second opinions on every published number of a study, or of one exhibit.

    Parameters
    ----------
    folder
        Of a publication or a candidate, with panels and estimates.
    tell
        Is told the name of each exhibit before its engines are asked.
    mine
        Returns, for study and name of a question, once it is answered by another process or is to be asked here.
    """
    from analysis.agreement.exhibit import as_table

    parts = []
    for question in questions(paths, folder, study):
        if exhibit in (None, question.name):
            tell(question.name)
            mine((question.study, question.name))
            parts.append(answer(paths, question))
    held = [part for part in parts if len(part)]
    return pd.concat(held, ignore_index=True) if held else as_table([])


def answer(paths: Paths, question: Question) -> pd.DataFrame:
    """The answer kept of a question, or asked for now and kept."""
    return _kept(paths, question.key, question.ask)


def unanswered(paths: Paths, folder: Path, studies: Sequence[Study]) -> list[tuple[str, str]]:
    """Study and name of each question whose answer is not kept."""
    every = [question for study in studies for question in questions(paths, folder, study)]
    return [(one.study, one.name) for one in every if not _file(paths, one.key).exists()]


def questions(paths: Paths, folder: Path, study: Study) -> Iterator[Question]:
    """What there is to ask of a study: its exhibits, then its scores."""
    from analysis.agreement import second_opinions

    estimates = pd.read_parquet(folder / "data" / "estimates" / "estimates.parquet")
    estimates = estimates[estimates["study"].eq(study.name)].reset_index(drop=True)
    cities = overlay.cities(paths, dtype={"city_code": str})
    panel_file = folder / "data" / "panels" / f"{study.name}.parquet"
    panel = cache(pd.read_parquet)
    for each in study.exhibits:
        own = estimates[estimates["exhibit"].eq(each.name)].reset_index(drop=True)
        named = sorted({model.panel for model in each.models if model.panel})
        others = {name: folder / "data" / "panels" / f"{name}.parquet" for name in named}
        others = {name: path for name, path in others.items() if path.exists()}
        made_of = [
            # a title or a note changes no number
            repr((each.name, each.kind, each.models, each.tests, each.variables)),
            repr((study.groups, study.years, study.treatment, study.panel)),
            _hash_of(own),
            _hash_of(cities),
        ]
        key = _key(paths, made_of, [panel_file, *others.values()])

        def ask(name: str = each.name, own: pd.DataFrame = own, others: dict[str, Path] = others) -> pd.DataFrame:
            panels = {key: pd.read_parquet(path) for key, path in others.items()}
            return second_opinions(study, name, panel(panel_file), own, cities=cities, panels=panels)

        yield Question(study.name, each.name, key, ask)
    yield from _of_scores(paths, folder, study, cities)


def forget_others(paths: Paths, keep: int = 500) -> None:
    """Leave the answers asked for last, and no more than ``keep``."""
    files = sorted(_folder(paths).glob("*.parquet"), key=lambda path: path.stat().st_mtime)
    for old in files[:-keep]:
        old.unlink(missing_ok=True)


def _of_scores(paths: Paths, folder: Path, study: Study, cities: pd.DataFrame) -> Iterator[Question]:
    """A random fifth of each efficiency score again."""
    from analysis.agreement import second_scores

    panel, stored = (
        folder / "data" / "panels" / "city_year.parquet",
        folder / "data" / "scores" / "efficiency.parquet",
    )
    if not study.efficiency or not panel.exists() or not stored.exists():
        return
    scores = pd.read_parquet(stored)
    scores = scores[scores["study"].eq(study.name)]
    city_year = pd.read_parquet(panel)
    takes = city_year["city_code"].astype(str).isin(cities.loc[study.takes(cities), "city_code"])
    city_year = city_year[takes & city_year["year"].between(*study.years)].reset_index(drop=True)
    for made in study.efficiency:
        own = scores[scores["name"].eq(made.name)].reset_index(drop=True)
        rows = city_year[["city_code", "year", *(name for name in made.variables if name in city_year.columns)]]
        key = _key(paths, [repr(made), study.name, _hash_of(own), _hash_of(rows)], [])
        ask = partial(second_scores, study, made, city_year, own)
        yield Question(study.name, f"scores of {made.name}", key, ask)


def _kept(paths: Paths, key: str, ask: Callable[[], pd.DataFrame]) -> pd.DataFrame:
    """The answer kept under a key, or asked for now and kept."""
    path = _file(paths, key)
    if path.exists():
        path.touch()
        return pd.read_parquet(path)
    answer = ask()
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(f".{os.getpid()}.unfinished")
    answer.to_parquet(unfinished, index=False)
    unfinished.replace(path)
    return pd.read_parquet(path)


def _folder(paths: Paths) -> Path:
    return paths.warehouse.parent / "agreement"


def _file(paths: Paths, key: str) -> Path:
    return _folder(paths) / f"{key}.parquet"


def _key(paths: Paths, texts: list[str], files: list[Path]) -> str:
    """A name for everything that decides an answer: what is asked, the data, the code, the engines' versions."""
    code = store.code(paths.results / "imports.json").version(("analysis.agreement",))
    parts = [*texts, code, store.libraries(), *(hash_files([path], path.parent) for path in files)]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:40]


def _hash_of(frame: pd.DataFrame) -> str:
    content = pd.util.hash_pandas_object(frame, index=False).to_numpy().tobytes()
    return hashlib.sha256(content + repr(list(frame.columns)).encode()).hexdigest()
