"""What the pages are made from: a study with its results, and the warehouse. Nothing is written or laid out here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from analysis.names import ADOPTION, IMPUTED, UNIT
from analysis.reporting.year_map import YearMap, year_map
from analysis.studies.file_panel import keyed
from analysis.studies.records import Study
from analysis.studies.result import ExhibitResult
from analysis.studies.run import run_study

if TYPE_CHECKING:
    from analysis.audit import Audit, Replication


@dataclass(frozen=True)
class StudyReport:
    """What the page of a study is made from.

    Attributes
    ----------
    study : the specification.
    results : exhibit name -> result, in the order of the page.
    rows, cities, treated_cities : of the panel.
    variables : one row a variable: name, label, unit, source, values, imputed, missing (as `coverage` makes it).
    truth : true effects in the sample world (``exhibit``, ``model``, ``term``, ``truth``), or None.
    is_sample : whether the panel is from the sample world.
    downloads : "zip", "dta", "parquet", "csv", "citation" -> path below the site.
    citation : what to cite.
    drawn : a folder that holds the pictures of these results already, or None.
    agreement : what other engines make of its numbers, or None.
    map : the study on the map by year, or None.
    audit, replication : what a referee would raise and what comes out again, with a page of their own; or None.
    """

    study: Study
    results: Mapping[str, ExhibitResult]
    rows: int
    cities: int
    treated_cities: int
    variables: pd.DataFrame
    is_sample: bool
    truth: pd.DataFrame | None = None
    downloads: Mapping[str, str] = field(default_factory=dict)
    citation: str = ""
    drawn: Path | None = None
    agreement: pd.DataFrame | None = None
    map: YearMap | None = None
    audit: Audit | None = None
    replication: Replication | None = None

    @classmethod
    def from_panel(
        cls,
        study: Study,
        panel: pd.DataFrame,
        *,
        is_sample: bool,
        cities: pd.DataFrame | None = None,
        truth: pd.DataFrame | None = None,
        results: Mapping[str, ExhibitResult] | None = None,
        downloads: Mapping[str, str] | None = None,
        citation: str = "",
        drawn: Path | None = None,
        agreement: pd.DataFrame | None = None,
    ) -> StudyReport:
        """The report of a panel; exhibits are computed unless ``results`` are at hand."""
        if results is None:
            results = run_study(study, panel, is_sample=is_sample, cities=cities)
        panel = keyed(study, panel)
        return cls(
            study=study,
            results=dict(results),
            rows=len(panel),
            cities=int(panel[UNIT].nunique()),
            treated_cities=int(panel.loc[panel[ADOPTION].notna(), UNIT].nunique()),
            variables=coverage(study, panel),
            is_sample=is_sample,
            truth=truth,
            downloads=dict(downloads or {}),
            citation=citation,
            drawn=drawn,
            agreement=agreement,
            map=year_map(study, panel, cities) if cities is not None else None,
        )


@dataclass(frozen=True)
class PendingReport:
    """A study's report that is put together only where something that it shows is to be made anew.

    Attributes
    ----------
    study, is_sample : of the report.
    exhibits : exhibit name -> what decides its result and what is said beside it, in the order of the page.
    decided : what decides the rest.
    make : puts it together.
    """

    study: Study
    is_sample: bool
    exhibits: Mapping[str, Any]
    decided: Mapping[str, Any]
    make: Callable[[], StudyReport]

    @classmethod
    def of(cls, report: StudyReport) -> PendingReport:
        """A report that is at hand."""
        return cls(report.study, report.is_sample, dict.fromkeys(report.results), {}, lambda: report)

    @cached_property
    def whole(self) -> StudyReport:
        """The report."""
        return self.make()


@dataclass(frozen=True)
class WarehouseReport:
    """What the page of the warehouse is made from; a frame may have any columns, the first names the row.

    Attributes
    ----------
    layers : one row a table: layer, table, rows in, set aside, left out, rows out.
    checks : one row a check: what was checked, whether it passed, how many rows failed.
    rejects : one row a cell or row set aside; a column ``rule`` is needed, and ``message`` is shown where there is one.
    files : the ledger: one row a raw file.
    not_computed : further columns or exhibits that could not be made, with reasons; those of the studies are added.
    is_sample : whether the raw files are the sample world's.
    planted : one row a rule: faults planted in the sample world, caught, and false alarms; empty for real files.
    """

    layers: pd.DataFrame
    checks: pd.DataFrame
    rejects: pd.DataFrame
    files: pd.DataFrame
    is_sample: bool
    not_computed: pd.DataFrame = field(default_factory=pd.DataFrame)
    planted: pd.DataFrame = field(default_factory=pd.DataFrame)


def coverage(study: Study, panel: pd.DataFrame) -> pd.DataFrame:
    """One row a variable: how many values the panel holds, how many of them were filled in, how many are missing."""
    rows = []
    for variable in study.variables:
        there = variable.name in panel.columns
        values = int(panel[variable.name].notna().sum()) if there else 0
        flag = f"{variable.name}{IMPUTED}"
        imputed = int(panel[flag].fillna(0).astype(bool).sum()) if flag in panel.columns else 0
        label = (variable.name, variable.label.en, variable.label.zh, variable.unit, variable.written)
        rows.append((*label, values, imputed, len(panel) - values))
    return pd.DataFrame(rows, columns=["name", "label", "label_zh", "unit", "source", "values", "imputed", "missing"])
