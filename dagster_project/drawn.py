"""What a study's variables are drawn from, as a candidate or publication holds it: panels.city_year and the scores."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

if TYPE_CHECKING:
    from analysis.studies.records import Study

KEYS = ["city_code", "year"]


def reads(study: Study, exhibits: Collection[str]) -> bool:
    """Whether one of the named exhibits of the study reads it."""
    from analysis.studies.kinds import KINDS

    return any("city_year" in KINDS[study.exhibit(name).kind].reads for name in exhibits)


def city_year(folder: Path, study: Study) -> dict[str, pd.DataFrame]:
    """The columns that the study's variables are drawn from, one row a city and year, under "city_year"; nothing where
    there is no such panel."""
    data = folder / "data"
    path = data / "panels" / "city_year.parquet"
    if study.panel is not None or not path.exists():
        return {}
    whole = pd.read_parquet(path)
    wanted = {variable.source for variable in study.variables}
    found = whole[[*KEYS, *(column for column in whole.columns if column in wanted and column not in KEYS)]]
    scores = data / "scores" / "efficiency.parquet"
    if not study.efficiency or not scores.exists():
        return {"city_year": found}
    scored = pd.read_parquet(scores)
    scored = scored[scored["study"].eq(study.name)]
    for made in study.efficiency:
        for column, frontier in made.columns.items():
            own = scored[scored["name"].eq(made.name) & scored["frontier"].eq(frontier)]
            found = found.merge(own[[*KEYS, "score"]].rename(columns={"score": column}), on=KEYS, how="left")
    return {"city_year": found}
