"""Everything that an exhibit leaves behind, computed from its panel into one folder."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from analysis.reporting.figures import write_figure
from analysis.reporting.tables import write_table
from analysis.studies.kinds import KINDS
from analysis.studies.published import published
from analysis.studies.records import Study
from analysis.studies.result import ExhibitResult
from analysis.studies.run import run_exhibit

#: The estimators' own results and the true effects, for pages about several exhibits; never published.
RESULT = "result.pickle"


def write_exhibit(
    folder: Path,
    study: Study,
    name: str,
    panel: pd.DataFrame,
    *,
    is_sample: bool,
    cities: pd.DataFrame,
    panels: Mapping[str, pd.DataFrame],
    printed: Path,
    ledger: pd.DataFrame | None,
) -> None:
    """Compute an exhibit and write its table, picture and estimates, and RESULT, into ``folder``.

    Parameters
    ----------
    panel, cities, panels, is_sample
        As `run_exhibit` takes them.
    printed
        The folder of the figures that papers print.
    ledger
        truth.parquet of the sample world, where the panel comes from it.
    """
    result = run_exhibit(study, name, panel, is_sample=is_sample, cities=cities, panels=panels)
    truth = None
    if ledger is not None:
        from analysis.studies.truth import true_effects

        truth = true_effects(study, study.exhibit(name), panel, ledger, cities)
    write_table(result, study, folder, printed=published(study.name, printed), truth=truth)
    if study.exhibit(name).is_drawn:
        write_figure(result, study, folder)
    fills = KINDS[result.kind].fills
    if fills:
        table, rows = fills
        rows(result).to_parquet(folder / f"{name}.{table}.parquet", index=False)
    result.estimates.to_parquet(folder / f"{name}.estimates.parquet", index=False)
    (folder / RESULT).write_bytes(pickle.dumps((result, truth)))


def read_exhibit(folder: Path) -> tuple[ExhibitResult, pd.DataFrame | None]:
    """The result that `write_exhibit` left, and the true effects of its models where they are known."""
    return pickle.loads((folder / RESULT).read_bytes())
