"""Double machine learning for panels: controls of any shape, learned on other units than those they are used on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from analysis.did.regression import cluster_covariance
from analysis.estimation_sample import prepare, require_varying, unit_order
from analysis.results import CannotEstimate, inference_table

#: Name of a learner -> what it is in words.
LEARNERS = {
    "lasso": "a cross-validated lasso on squares and products",
    "forest": "a random forest",
    "boosting": "gradient-boosted trees",
    "linear": "least squares",
}


@dataclass(frozen=True)
class DoubleMachineLearning:
    """The effect once learned controls are partialled out.

    Attributes
    ----------
    att, se
        Of the treatment.
    table
        Indexed by learner: ``estimate``, ``se``, ``t``, ``p``, ``low``, ``high``; then ``r2_outcome`` and
        ``r2_treatment``, how well the learner predicts changes of each in units that it has not seen.
    n, units, folds
        Changes used, their units, and the folds of units.
    notes
        What was done on the way, one sentence each.
    """

    att: float
    se: float
    table: pd.DataFrame
    n: int
    units: int
    folds: int
    notes: tuple[str, ...]

    def summary(self) -> str:
        """The estimates as text, for people."""
        shown = self.table.to_string(float_format=lambda value: f"{value:.6g}")
        return "\n".join([shown, f"n = {self.n} changes, {self.units} units, {self.folds} folds", *self.notes])


def double_machine_learning(
    data: pd.DataFrame,
    y: str,
    treatment: str,
    controls: Sequence[str],
    *,
    unit: str,
    time: str,
    learner: str | Sequence[str] = "lasso",
    folds: int = 5,
    seed: int = 0,
) -> DoubleMachineLearning:
    """Partially linear panel regression with controls of unknown shape (Chernozhukov and others 2018).

    In first differences, which take the unit's effect out exactly whatever the shape of g in
    y = b treatment + g(controls) + effects (Clarke and Polselli 2025): changes of y and of treatment between one row
    of a unit and its next are predicted from the controls at both ends, less their means over units that are seen in
    the same two periods; b is the slope of
    the unpredicted change of y on that of treatment. Where the effect grows after adoption, differences see its first
    step alone, as a note says. Predictions come from units in other folds. Errors are clustered by
    unit, with G / (G - 1), and t has G - 1 degrees of freedom. Several learners give a row each; ``.att`` is the
    first's. Draws depend on ``seed`` and the data, not on the order of rows.

    Parameters
    ----------
    learner
        "lasso", "forest", "boosting", "linear", or several of them.
    folds
        Of units; at least 2.

    Raises
    ------
    CannotEstimate
        Fewer units than folds, or no change of treatment that the controls do not predict.
    ValueError
        No controls, an unknown learner, bad columns or keys.
    """
    learners = [learner] if isinstance(learner, str) else list(learner)
    unknown = [name for name in learners if name not in LEARNERS]
    if unknown or not learners:
        raise ValueError(f"learner is one of {', '.join(LEARNERS)}, not {unknown[0] if unknown else learner!r}.")
    if not controls:
        raise ValueError("Name at least one control: without any there is nothing to learn.")
    if folds < 2:
        raise ValueError(f"folds must be at least 2; it is {folds}.")
    names = list(dict.fromkeys(controls))
    sample = prepare(data, unit=unit, time=time, numeric=[y, treatment, *names, time])
    frame = sample.data
    require_varying(frame, y)
    same = (frame[unit] == frame[unit].shift()).to_numpy()
    now, before = np.flatnonzero(same), np.flatnonzero(same) - 1
    if not len(now):
        raise CannotEstimate("No unit has two rows, so there is no change to explain.")
    when = frame[time].to_numpy()
    _, span, often = np.unique(
        np.column_stack([when[before], when[now]]), axis=0, return_inverse=True, return_counts=True
    )
    shared = often[span.ravel()] > 1
    alone = int((~shared).sum())
    now, before, period = now[shared], before[shared], span.ravel()[shared]
    if not len(now):
        raise CannotEstimate("No two units change over the same two periods, so there is nothing to compare.")
    order = unit_order(frame, unit, [time, treatment, y, *names])[now]
    units = np.unique(order, return_inverse=True)[1]
    number = int(units.max()) + 1
    if number < folds:
        raise CannotEstimate(f"{number} units cannot be dealt into {folds} folds.")

    def change(column: str) -> np.ndarray:
        value = frame[column].to_numpy(float)
        return _less_means(value[now] - value[before], period)

    outcome, treated = change(y), change(treatment)
    held = frame[names].to_numpy(float)
    features = np.column_stack([held[now], held[before]])
    spread = features.std(axis=0)
    features = (features - features.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    dealt = np.random.default_rng(seed).permutation(number) % folds
    fold = dealt[units]
    rows = {}
    for name in learners:
        left_outcome = outcome - _predicted(name, features, outcome, fold, folds, seed)
        left_treated = treated - _predicted(name, features, treated, fold, folds, seed)
        length = float(left_treated @ left_treated)
        if length <= 1e-10 * max(float(treated @ treated), 1e-300):
            raise CannotEstimate(f"The controls predict every change of {treatment!r}, so it has no effect of its own.")
        estimate = float(left_treated @ left_outcome) / length
        residual = left_outcome - estimate * left_treated
        x, bread = left_treated[:, None], np.array([[1 / length]])
        variance = cluster_covariance(x, residual, bread, [units], 1)
        line = inference_table([name], np.array([estimate]), variance, float(number - 1)).iloc[0].to_dict()
        quality = {
            "r2_outcome": 1 - float(left_outcome @ left_outcome) / float(outcome @ outcome),
            "r2_treatment": 1 - length / float(treated @ treated),
        }
        rows[name] = line | quality
    table = pd.DataFrame.from_dict(rows, orient="index").rename_axis("learner")
    notes = [*sample.notes, *(f"{name}: {LEARNERS[name]}." for name in learners)]
    notes.append("First differences see the step of the first treated period, not what grows after it.")
    if alone:
        notes.append(f"{alone} changes dropped: no other unit is seen in the same two periods and none between.")
    gaps = int((frame[time].to_numpy()[now] - frame[time].to_numpy()[before] > 1).sum())
    if gaps:
        notes.append(f"{gaps} changes span more than one period: rows between them are missing.")
    first = table.iloc[0]
    return DoubleMachineLearning(
        float(first["estimate"]), float(first["se"]), table, len(now), number, folds, tuple(notes)
    )


def _less_means(values: np.ndarray, period: np.ndarray) -> np.ndarray:
    """Values (n,) less their means by period."""
    return values - (np.bincount(period, weights=values) / np.maximum(np.bincount(period), 1))[period]


def _predicted(
    name: str, features: np.ndarray, target: np.ndarray, fold: np.ndarray, folds: int, seed: int
) -> np.ndarray:
    """Predictions (n,) of each row from a learner that saw only units in other folds."""
    found = np.empty_like(target)
    for number in range(folds):
        inside = fold == number
        model = _learner(name, seed)
        model.fit(features[~inside], target[~inside])
        found[inside] = model.predict(features[inside])
    return found


def _learner(name: str, seed: int) -> Any:
    """A fresh learner of scikit-learn; one thread, so that results do not depend on the machine."""
    from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestRegressor
    from sklearn.linear_model import LassoCV, LinearRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import PolynomialFeatures, StandardScaler

    if name == "lasso":
        return make_pipeline(
            PolynomialFeatures(2, include_bias=False), StandardScaler(), LassoCV(cv=5, max_iter=20_000)
        )
    if name == "forest":
        return RandomForestRegressor(n_estimators=200, min_samples_leaf=5, random_state=seed, n_jobs=1)
    if name == "boosting":
        return HistGradientBoostingRegressor(max_iter=150, learning_rate=0.06, max_leaf_nodes=15, random_state=seed)
    return LinearRegression()
