"""What each model of an exhibit ought to find in the sample world, from the world's own ledger of effects."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from analysis.names import TIME, UNIT
from analysis.simulation import true_effect
from analysis.studies.estimation_sample import model_frame
from analysis.studies.methods import METHODS
from analysis.studies.methods.spatial import LAG
from analysis.studies.records import Exhibit, Model, Study

COLUMNS = ["exhibit", "model", "term", "truth"]


def true_effects(
    study: Study, exhibit: Exhibit, panel: pd.DataFrame, truth: pd.DataFrame, cities: pd.DataFrame | None = None
) -> pd.DataFrame:
    """The estimand of each model on this panel, where the sample world knows the outcome's true effect.

    Parameters
    ----------
    panel
        The study's panel as estimated.
    truth
        truth.parquet of the sample world.
    cities
        data/reference/cities.csv, needed only for models that select by its columns.

    Returns
    -------
    DataFrame
        ``exhibit``, ``model``, ``term`` (the treatment), ``truth``; no row for a model whose estimand is not known:
        another method or panel, other effects, or other regressors made from the treatment. Spatial Durbin models over
        borders are known in the world with spillovers, which reach over borders.
    """
    rows = []
    for model in exhibit.models:
        spills = f"{model.outcome}_spilled" in truth and _follows_borders(model)
        if not (spills or _is_known(model, study)) or f"{model.outcome}_tau" not in truth:
            continue
        frame = model_frame(study, model, panel, cities)
        if isinstance(frame, str):
            continue
        found = _spatial(model, frame, truth) if spills else {study.treatment: _estimand(model, frame, truth)}
        rows += [(exhibit.name, model.label, term, value) for term, value in found.items()]
    return pd.DataFrame(rows, columns=COLUMNS)


def _follows_borders(model: Model) -> bool:
    """Whether a model has the spatial lags with which the sample world passes effects on."""
    return (
        model.method in ("spatial_panel", "spatial_effects")
        and model.options.get("model") in ("sdm", "slx")
        and [matrix.kind for matrix in model.weights] == ["contiguity"]
    )


def _spatial(model: Model, frame: pd.DataFrame, truth: pd.DataFrame) -> dict[str, float]:
    """What the regressors of a Durbin model make of the true effects themselves, own and neighbours', without noise.

    Effects pass from a city to its neighbours and no further, so the model without a lag of the outcome (SLX) holds
    them whole; rho picks up what neighbouring cities have in common beside the policy, and has no truth here.
    """
    known = truth.set_index([truth[UNIT].astype(str), TIME])[f"{model.outcome}_tau"]
    tau = known.reindex(pd.MultiIndex.from_arrays([frame[UNIT].astype(str), frame[TIME]])).to_numpy()
    exact = frame.assign(**{model.outcome: np.where(frame[model.outcome].notna(), tau, np.nan)})
    # an outcome without noise: any estimate of its variance would do, so none is asked for
    plain = replace(model, method="spatial_panel", options={"model": "slx"}, cluster=())
    table = METHODS["spatial_panel"].run(exact, plain).table["estimate"]
    own, passed = float(table[model.treatment]), float(table[f"W:{model.treatment}"])
    if model.method == "spatial_effects":
        return {"direct": own, "indirect": passed, "total": own + passed}
    return {model.treatment: own, f"{LAG}{model.treatment}": passed}


def _is_known(model: Model, study: Study) -> bool:
    return (
        METHODS[model.method].estimand != "other"
        and model.treatments == (study.treatment,)
        and model.panel is None
        and tuple(model.fixed_effects) == ("unit", "time")
    )


def _estimand(model: Model, frame: pd.DataFrame, truth: pd.DataFrame) -> float:
    """The weighted mean of true effects that the model's method estimates; missing where nothing is identified."""
    if not frame[model.treatment].any():
        return np.nan
    if METHODS[model.method].estimand == "two-way":
        return true_effect(frame, truth, model.outcome, list(model.controls), treatment=model.treatment)
    used = frame[[model.outcome, *model.controls]].notna().all(axis=1)
    treated = frame[used & frame[model.treatment].eq(1)]
    known = truth.set_index([truth[UNIT].astype(str), TIME])[f"{model.outcome}_tau"]
    return float(known.loc[pd.MultiIndex.from_arrays([treated[UNIT].astype(str), treated[TIME]])].mean())
