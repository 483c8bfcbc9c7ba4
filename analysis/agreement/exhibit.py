"""One exhibit computed again by other engines, number by number."""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from typing import Any

import pandas as pd

from analysis.agreement.engines import ENGINES, why_none
from analysis.agreement.opinion import COLUMNS, NoOpinion, Opinion, judged
from analysis.agreement.samples import descriptive
from analysis.names import TIME, UNIT
from analysis.studies.estimation_sample import model_frame
from analysis.studies.file_panel import keyed
from analysis.studies.records import Model, Study
from analysis.studies.result import OK, row_label


def second_opinions(
    study: Study,
    name: str,
    panel: pd.DataFrame,
    estimates: pd.DataFrame,
    *,
    cities: pd.DataFrame | None = None,
    panels: Mapping[str, pd.DataFrame] | None = None,
) -> pd.DataFrame:
    """What other engines make of every published number of an exhibit.

    They start from the panel and from what the study says of each model; nothing that our estimators computed enters
    but the numbers compared. The same inputs give the same rows in the same order.

    Parameters
    ----------
    study, name, panel, cities, panels
        As `analysis.studies.run_exhibit` takes them.
    estimates
        The exhibit's published estimates, as `ExhibitResult.estimates`.

    Returns
    -------
    DataFrame
        One row a published number and engine: `COLUMNS`. ``difference`` is the larger relative difference of estimate
        and standard error; ``verdict`` one of "confirmed" (at most `TOLERANCE`), "differs by convention" (as ``reason``
        names it), "differs", "not possible" (no engine, and ``reason`` says why). Numbers that were not computed have
        no row.
    """
    exhibit = study.exhibit(name)
    panel = keyed(study, panel).sort_values([UNIT, TIME], ignore_index=True)
    others = {key: keyed(study, frame) for key, frame in (panels or {}).items()}
    rows = estimates[estimates["exhibit"].eq(name) & estimates["status"].eq(OK) & estimates["estimate"].notna()]
    alone = len(exhibit.models) == 1
    opinions: list[tuple[str, Opinion]] = list(descriptive(panel, exhibit.variables))
    silent: dict[str, str] = {}
    for model in (*exhibit.models, *exhibit.tests):
        own = panel if model.panel is None else others.get(model.panel)
        frame: Any = None if own is None else model_frame(study, model, own, cities)
        if frame is None or isinstance(frame, str):
            continue
        found, why = _asked(frame, model)
        opinions += [(row_label(model.label, opinion.part, alone), opinion) for opinion in found]
        silent[model.label] = why
    methods = {model.label: model.method for model in (*exhibit.models, *exhibit.tests)}

    def reason(row: pd.Series) -> str:
        label = next(
            (known for known in methods if row["model"] == known or str(row["model"]).startswith(f"{known}, ")),
            next(iter(methods)) if alone and methods else "",
        )
        return silent.get(label) or why_none(methods.get(label, exhibit.kind), str(row["term"]))

    return as_table(judged(rows, opinions, reason))


def as_table(records: list[dict]) -> pd.DataFrame:
    """Records of agreement with their columns and types."""
    table = pd.DataFrame(records, columns=COLUMNS)
    return table.astype(dict.fromkeys(["estimate", "se", "difference"], "float64"))


def _asked(frame: pd.DataFrame, model: Model) -> tuple[list[Opinion], str]:
    """What each engine of a model's method says, and why some said nothing, where none did."""
    found: list[Opinion] = []
    silent: list[str] = []
    for engine in ENGINES.get(model.method, ()):
        try:
            found += list(engine(frame, model))
        except NoOpinion as reason:
            silent.append(str(reason))
        except Exception as error:
            if not _of_a_package(error):
                raise RuntimeError(
                    f"Model {model.label!r} ({model.method}) could not be put to {engine.__name__}, and not because of "
                    f"what the data hold: {type(error).__name__}: {error}"
                ) from error
            # what another package makes of the data is its own affair: it is told, and ends nothing
            said = " ".join(str(error).split())
            silent.append(f"The engine failed: {type(error).__name__}: {said[:200]}")
    return found, "" if found else " ".join(silent)


def _of_a_package(error: Exception) -> bool:
    """Whether an error comes out of a package that was asked; one of our own lines, or of the data frames that they
    handle, is a mistake of ours."""
    callee = ""
    frames = [frame.f_globals.get("__name__", "") for frame, _ in traceback.walk_tb(error.__traceback__)]
    for module, called in zip(frames, [*frames[1:], ""], strict=True):
        if module.partition(".")[0] == "analysis":
            callee = called.partition(".")[0]
    return callee not in ("", "pandas", "numpy")
