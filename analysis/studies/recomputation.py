"""A study computed again from its archive, and every number compared with the one stated there.

How an archive is written and read is in `analysis.reporting.archive`.
"""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from analysis import catalogue
from analysis.studies import spec
from analysis.studies.compare import KEYS
from analysis.studies.records import Study
from analysis.studies.result import ExhibitResult
from analysis.studies.run import run_exhibit

#: How far two computations of one number may lie apart: this share of the number or, for an estimate, of its standard
#: error where that is larger; for p values and R2 of one. Other processors and libraries round differently.
TOLERANCE = 1e-6
QUANTITIES = ("estimate", "se", "p", "n", "r2")


@dataclass(frozen=True)
class Recomputation:
    """What came out again.

    Attributes
    ----------
    study, results : as computed here.
    compared : number of figures compared.
    differences : one row a figure that differs: ``exhibit``, ``model``, ``term``, ``quantity``, ``stated``, ``found``.
    """

    study: Study
    results: Mapping[str, ExhibitResult]
    compared: int
    differences: pd.DataFrame

    @property
    def holds(self) -> bool:
        """Whether every figure came out again."""
        return self.differences.empty

    def summary(self) -> str:
        """In a sentence."""
        if self.holds:
            return f"All {self.compared:,} figures of {len(self.results)} tables and figures came out again."
        exhibits = self.differences["exhibit"].nunique()
        return f"{len(self.differences):,} of {self.compared:,} figures differ, in {exhibits} tables and figures."


def recompute(
    name: str,
    files: Mapping[str, bytes],
    *,
    is_sample: bool,
    tell: Callable[[str, int, int], None] = lambda exhibit, number, of: None,
) -> Recomputation:
    """Compute a study from the files of its archive and compare.

    Parameters
    ----------
    name
        Of the study.
    files
        Path -> contents, whose hashes have been checked.
    tell
        Is told each exhibit before it is computed, how many came before it, and how many there are.

    Raises
    ------
    ValueError
        A file that is needed and missing, or a specification that the code at hand cannot read.
    """
    for path in (f"study/{name}.yaml", f"panels/{name}.parquet", "data/reference/cities.csv", "estimates.parquet"):
        if path not in files:
            raise ValueError(f"The archive lacks {path}, without which the study cannot be computed.")
    study = specification(name, files)
    panels = {path.stem: _frame(files, str(path)) for path in map(Path, files) if path.match("panels/*.parquet")}
    cities = pd.read_csv(io.BytesIO(files["data/reference/cities.csv"]), dtype={"city_code": str})
    own = panels.pop(name)
    results = {}
    for number, exhibit in enumerate(study.exhibits):
        tell(exhibit.name, number, len(study.exhibits))
        results[exhibit.name] = run_exhibit(study, exhibit.name, own, is_sample=is_sample, cities=cities, panels=panels)
    found = pd.concat([result.estimates for result in results.values()], ignore_index=True)
    return Recomputation(study, results, *compare(_frame(files, "estimates.parquet"), found))


def _frame(files: Mapping[str, bytes], path: str) -> pd.DataFrame:
    try:
        return pd.read_parquet(io.BytesIO(files[path]))
    except (OSError, ValueError) as error:
        raise ValueError(f"{path} is no Parquet file that can be read: {error}") from None


def specification(name: str, files: Mapping[str, bytes]) -> Study:
    """A study as the files of its archive state it, checked against the cities and lists that are among them."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for path in files:
            if path.startswith(("study/", "data/", "source/")):
                target = root / path
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(files[path])
        source = next((root / path for path in files if path.startswith("source/")), None)
        known = catalogue.load(root / "data" / "own")
        drawn = known.with_indicators(known.indicators).drawn
        return spec.load(root / "study" / f"{name}.yaml", spec.known(root / "data", columns_drawn=drawn), source)


def compare(stated: pd.DataFrame, found: pd.DataFrame, tolerance: float = TOLERANCE) -> tuple[int, pd.DataFrame]:
    """How many figures were compared, and those that differ; a row that only one side has differs in its status."""
    both = stated.merge(found, on=KEYS, how="outer", suffixes=("_stated", "_found"), indicator=True)
    rows, compared = [], 0
    for row in both.to_dict("records"):
        key = [row[column] for column in KEYS]
        statuses = [_text(row["status_stated"]), _text(row["status_found"])]
        compared += 1
        if statuses[0] != statuses[1]:
            rows.append((*key, "status", *statuses))
            continue
        for quantity in QUANTITIES:
            before, after = float(row[f"{quantity}_stated"]), float(row[f"{quantity}_found"])
            compared += int(np.isfinite(before))
            if not _same(quantity, before, after, float(row["se_stated"]), tolerance):
                rows.append((*key, quantity, repr(before), repr(after)))
    return compared, pd.DataFrame(rows, columns=[*KEYS, "quantity", "stated", "found"])


def _same(quantity: str, before: float, after: float, se: float, tolerance: float) -> bool:
    if np.isnan(before) or np.isnan(after) or np.isinf(before) or np.isinf(after):
        return bool((np.isnan(before) and np.isnan(after)) or before == after)
    if quantity == "n":
        return before == after
    scale = 1.0 if quantity in ("p", "r2") else max(abs(before), se if quantity == "estimate" and se > 0 else 0.0)
    return abs(before - after) <= tolerance * max(scale, 1e-12)


def _text(value: object) -> str:
    return value if isinstance(value, str) else "absent"
