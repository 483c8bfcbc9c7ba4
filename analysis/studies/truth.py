"""What each model of an exhibit ought to find in the sample world, from the world's own ledger of effects."""

from __future__ import annotations

import pandas as pd

from analysis.simulation import true_effect
from analysis.studies.records import Exhibit, Study, Subsample

COLUMNS = ["exhibit", "model", "term", "truth"]


def true_effects(study: Study, exhibit: Exhibit, panel: pd.DataFrame, truth: pd.DataFrame) -> pd.DataFrame:
    """The estimand of each two-way model on this panel, where the sample world knows the outcome's true effect.

    Parameters
    ----------
    panel
        The study's panel as estimated.
    truth
        truth.parquet of the sample world.

    Returns
    -------
    DataFrame
        ``exhibit``, ``model``, ``term`` (the treatment), ``truth``; no row for a model whose estimand is not known:
        another method, panel, subsample, effects or treatment.
    """
    rows = [
        (
            exhibit.name,
            model.label,
            study.treatment,
            true_effect(panel, truth, model.outcome, list(model.controls), treatment=study.treatment),
        )
        for model in exhibit.models
        if model.method == "two_way"
        and model.treatments == (study.treatment,)
        and model.sample == Subsample()
        and model.panel is None
        and tuple(model.fixed_effects) == ("unit", "time")
        and f"{model.outcome}_tau" in truth
    ]
    return pd.DataFrame(rows, columns=COLUMNS)
