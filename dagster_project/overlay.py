"""What the project ships and what a user's own folder adds, as one: contracts, the catalogue, policy lists, studies.

A name that stands twice is an error that names both places. What such a file may say is decided where it is read.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dagster_project.paths import CONTRACTS, POLICIES, REFERENCE, ROOT, Paths, shown

if TYPE_CHECKING:
    import pandas as pd

    from analysis.catalogue import Catalogue
    from analysis.studies.records import Known, Study
    from dagster_project.ingest.contracts import Contract

CITIES = "cities.csv"
BUILT_IN_STUDIES = ROOT / "analysis" / "studies"


def merged(kind: str, *layers: Mapping[str, Path]) -> dict[str, Path]:
    """Names of several layers in alphabetical order.

    Raises
    ------
    ValueError
        Naming both files where two layers have one name.
    """
    found: dict[str, Path] = {}
    for layer in layers:
        for name, path in layer.items():
            if name in found:
                raise ValueError(f"{kind} {name!r} stands twice: {shown(found[name])} and {shown(path)}. Rename one.")
            found[name] = path
    return dict(sorted(found.items()))


def _files(folder: Path, *endings: str) -> dict[str, Path]:
    paths = sorted(
        path for ending in endings for path in folder.glob(f"*{ending}") if not path.name.startswith(("~$", "._"))
    )
    return merged("The file", *({path.stem: path} for path in paths))


def contract_files(paths: Paths) -> dict[str, Path]:
    """Source -> its contract."""
    return merged("The contract", _files(CONTRACTS, ".yaml"), _files(paths.own / "contracts", ".yaml"))


def contracts(paths: Paths) -> dict[str, Contract]:
    """Every contract by source, in order of name; the built-in ones' faults come first."""
    from dagster_project.ingest import contracts as reading

    contract_files(paths)
    found = {**reading.load_all(CONTRACTS), **reading.load_all(paths.own / "contracts")}
    return dict(sorted(found.items()))


def policy_files(paths: Paths) -> dict[str, Path]:
    """Policy -> its list."""
    return merged("The policy list", _files(POLICIES, ".csv"), _files(paths.own / "policies", ".csv", ".xlsx"))


def cities_csv(paths: Paths) -> bytes:
    """The cities of the roster with their attributes: data/reference/cities.csv and, behind its columns, those that
    cities.csv of the own folder gives by ``city_code``; a city that it leaves out has blanks there.

    Raises
    ------
    ValueError
        Naming every column that stands twice, and every code that is none or stands twice, with its line.
    """
    built_in, own = REFERENCE / CITIES, paths.own / CITIES
    if not own.exists():
        return built_in.read_bytes()
    from analysis.studies.policies import numbered

    columns, roster = numbered(built_in)
    added, entries = numbered(own)
    new = [column for column in added if column not in ("city_code", "name_zh")]
    faults = [f"line 1: the column {column!r} is one of {shown(built_in)} too." for column in new if column in columns]
    if "city_code" not in added:
        faults.append("line 1: the column 'city_code' is missing.")
    by_code: dict[str, dict[str, str]] = {}
    known = {row["city_code"] for _, row in roster}
    for line, row in entries if "city_code" in added else ():
        code = row["city_code"]
        if code not in known or code in by_code:
            wrong = "stands twice" if code in known else f"is no city of {shown(built_in)}"
            faults.append(f"line {line}, column 'city_code': {code!r} {wrong}.")
        by_code[code] = row
    if faults:
        raise ValueError("\n".join(f"{shown(own)}, {fault}" for fault in faults))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*columns, *new])
    for _, row in roster:
        told = by_code.get(row["city_code"], {})
        writer.writerow([*(row[column] for column in columns), *(told.get(column, "").strip() for column in new)])
    return text.getvalue().encode()


def cities(paths: Paths, **options: Any) -> pd.DataFrame:
    """`cities_csv` as a table, read with these options."""
    import pandas as pd

    return pd.read_csv(io.BytesIO(cities_csv(paths)), **options)


def study_files(paths: Paths) -> dict[str, Path]:
    """Study -> its specification."""
    return merged("The study", _files(BUILT_IN_STUDIES, ".yaml"), _files(paths.own / "studies", ".yaml"))


def catalogue(paths: Paths) -> Catalogue:
    """Indicators and the columns of panels.city_year, own ones among them, and the indicators that a study names."""
    from analysis import catalogue as reading

    return reading.load(paths.own).with_indicators(names_in_formulas(paths))


def names_in_formulas(paths: Paths) -> set[str]:
    """What the formulas of all studies name."""
    return {name for path in study_files(paths).values() for name in _names_in_formulas(path)}


def _names_in_formulas(path: Path) -> Iterator[str]:
    """What the formulas of a study name; faults of its file are told where it is read."""
    from analysis.documents import DocumentError, read
    from analysis.formulas import FormulaError, parse

    with suppress(DocumentError, FormulaError, OSError, UnicodeDecodeError):
        if "formula" in path.read_text(encoding="utf-8"):
            written = read(path).value
            variables = written.get("variables") if isinstance(written, dict) else None
            for variable in variables if isinstance(variables, list) else ():
                text = variable.get("formula") if isinstance(variable, dict) else None
                yield from parse(text).names if isinstance(text, str) else ()


def known(paths: Paths) -> Known:
    """The names that a study may refer to."""
    from analysis.studies import spec

    return spec.known(REFERENCE.parent, policy_files(paths), catalogue(paths).drawn, cities_csv(paths))


def studies(paths: Paths) -> list[Study]:
    """The studies that are computed, in order of name.

    Raises
    ------
    ValueError
        A name of PILOTCITY_STUDIES that no study has, and every fault of a specification.
    """
    from analysis.studies import spec

    names = known(paths)
    return [spec.load(path, names) for path in chosen(paths).values()]


def chosen(paths: Paths) -> dict[str, Path]:
    """The specifications of the studies that are computed: all, or those that were asked for."""
    from analysis.studies.reading import nearest

    files = study_files(paths)
    for name in paths.studies:
        if name not in files:
            near = nearest(name, files)
            hint = f"the nearest is {near!r}" if near else f"there are {', '.join(files)}"
            raise ValueError(f"There is no study {name!r} to compute; {hint}.")
    return {name: path for name, path in files.items() if not paths.studies or name in paths.studies}


def study_file(paths: Paths, name: str) -> Path:
    """The YAML of a study; ValueError with the nearest name."""
    from analysis.studies.reading import nearest

    files = study_files(paths)
    if name not in files:
        like = nearest(name, files)
        hint = f"did you mean {like!r}?" if like else f"there are {', '.join(files)}."
        raise ValueError(f"There is no study {name!r}; {hint}")
    return files[name]
