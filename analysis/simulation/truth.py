"""What is true in a sample world, and what a given estimator ought to find there.

The draws are made in world.py; this module only holds them beside the twin world without the policy and turns them
into an estimand. Nothing here writes files.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.did.regression import design_matrix, least_squares


@dataclass(frozen=True)
class Truth:
    """The sample world beside its twin without the policy (same draws).

    Attributes
    ----------
    table
        One row a city and year: ``city_code``, ``year``, ``adoption`` (first treated year of the clusters, missing if
        never), ``ai_adoption`` (of the AI zones), and for each outcome ``<outcome>_y0`` without its policy,
        ``<outcome>_y1`` as observed and ``<outcome>_tau``, their difference; patents in thousands of applications.
    panel, ai_panel
        The studies' samples as they would be without missing cells, faults and rounding: keys, ``adoption``, ``did``
        or ``ai``, the outcomes and the ratios behind the controls.
    effects
        Outcome -> the two-way regression's own estimand on its study's panel with its controls.
    faults
        The ledger of planted faults: ``file``, ``sheet``, ``row``, ``column`` (letter), ``header``, ``city``,
        ``year``, ``indicator``, ``rule``, ``value`` (as written), ``true_value`` (in the cell's unit).
    seed
        Of every draw.
    """

    table: pd.DataFrame
    panel: pd.DataFrame
    ai_panel: pd.DataFrame
    effects: Mapping[str, float]
    faults: pd.DataFrame
    seed: int

    def controls_moved(self) -> pd.DataFrame:
        """How far a policy moves the scores of never-treated cities, through the frontier.

        Indexed by score: ``mean``, ``absolute`` (mean of absolute changes), ``largest`` (in absolute value).
        """
        rows = {}
        for name, panel in (("eff", self.panel), ("ulgue", self.ai_panel)):
            if name in panel.columns:
                known = self.table.set_index(["city_code", "year"])[f"{name}_tau"]
                never = panel[panel.adoption.isna()]
                moved = known.loc[pd.MultiIndex.from_frame(never[["city_code", "year"]])]
                rows[name] = moved.mean(), moved.abs().mean(), moved.abs().max()
        return pd.DataFrame.from_dict(rows, orient="index", columns=["mean", "absolute", "largest"])

    def summary(self) -> str:
        """The truth in a few lines, for people."""
        lines = [f"Sample world, seed {self.seed}: {self.table.city_code.nunique()} cities, {len(self.table)} rows"]
        lines += [f"true two-way effect on {name}: {value:.4f}" for name, value in self.effects.items()]
        lines += [f"{len(rows)} planted faults for rule {rule}" for rule, rows in self.faults.groupby("rule")]
        return "\n".join(lines)


def residual_weights(
    panel: pd.DataFrame, treatment: str, controls: Sequence[str] = (), *, unit: str = "city_code", time: str = "year"
) -> pd.Series:
    """Weights w with which the two-way coefficient sums an outcome: beta(y) = sum of w y.

    By Frisch and Waugh (1933), w = d / d'd with d what unit and time effects and the controls leave of the treatment
    (de Chaisemartin and D'Haultfoeuille 2020, theorem 1). Rows with a missing control have no weight and are left out.

    Returns
    -------
    Series (n,), indexed by (unit, time); weights sum to 0 overall and to 1 over treated rows.

    Raises
    ------
    ValueError
        When effects and controls leave nothing of the treatment.
    """
    design = design_matrix(panel, treatment, list(controls), unit=unit, time=time)
    residual = design.y
    if design.terms:
        residual = residual - design.x @ least_squares(design.x, residual)[0]
    length = float(residual @ residual)
    if length <= 1e-12 * len(residual):
        raise ValueError(f"{treatment!r} does not vary beyond the effects and controls: no effect can be defined.")
    index = pd.MultiIndex.from_frame(design.data[[unit, time]])
    return pd.Series(residual / length, index=index, name="weight")


def true_effect(
    panel: pd.DataFrame,
    truth: pd.DataFrame,
    outcome: str,
    controls: Sequence[str] = (),
    *,
    treatment: str = "did",
    unit: str = "city_code",
    time: str = "year",
) -> float:
    """What `analysis.did.two_way` estimates on ``panel``: the sum of w_it tau_it.

    It equals the coefficient on the outcome less the coefficient on the twin world's outcome with the same regressors.

    Parameters
    ----------
    panel
        Any panel with keys, treatment and controls, for example the one the pipeline built. Where it has the outcome,
        rows that miss it are left out, as the regression leaves them out.
    truth
        `Truth.table`, or truth.parquet as a frame.

    Raises
    ------
    ValueError
        Rows of the panel that the truth does not know.
    """
    known = pd.Series(
        truth[f"{outcome}_tau"].to_numpy(dtype=float),
        index=pd.MultiIndex.from_arrays([truth["city_code"].astype(str), truth["year"].astype(int)]),
    )
    used = panel if outcome not in panel.columns else panel[panel[outcome].notna()]
    used = used.copy()
    used[unit], used[time] = used[unit].astype(str), used[time].astype(int)
    weights = residual_weights(used, treatment, controls, unit=unit, time=time)
    tau = known.reindex(weights.index)
    if tau.isna().any():
        city, year = tau.index[int(np.flatnonzero(tau.isna())[0])]
        raise ValueError(f"The truth has no row for city {city} in {year}: is the panel from another sample world?")
    return float(weights.to_numpy() @ tau.to_numpy())
