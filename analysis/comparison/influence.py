"""What a small change of single cells does to a coefficient of a linear regression with fixed effects, to first order.

With X the regressors and y the outcome, effects swept out, A = X'X, u the residuals and b the coefficients, a change dy
of the outcome in row i and dz of regressor k there move

    db = A^-1 x_i dy    and    db = A^-1 (e_k u_i - x_i b_k) dz

(Belsley, Kuh and Welsch 1980, section 2.1; Cook and Weisberg 1982). Nothing is estimated again.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from analysis.did.regression import design_matrix
from analysis.results import CannotEstimate


def gradient(
    data: pd.DataFrame,
    y: str,
    regressors: Sequence[str],
    of: str,
    *,
    unit: str,
    time: str,
    fixed_effects: str | Sequence[str] = ("unit", "time"),
    weights: str | None = None,
) -> pd.DataFrame:
    """The derivative of the coefficient of ``of`` by each cell of the outcome and of each regressor.

    Returns
    -------
    DataFrame
        A row a row that the regression uses, indexed by ``unit`` and ``time``; a column for ``y`` and each regressor
        that is identified.

    Raises
    ------
    CannotEstimate
        The coefficient is not identified, or the regression cannot be computed.
    """
    design = design_matrix(
        data, y, regressors, unit=unit, time=time, fixed_effects=fixed_effects, cluster=None, weights=weights
    )
    if of not in design.terms:
        raise CannotEstimate(design.not_identified.get(of, f"{of!r} is no regressor, so that nothing moves it."))
    root = np.ones(len(design.y)) if design.weights is None else np.sqrt(design.weights)
    inverse = np.linalg.inv(design.x.T @ design.x)
    coefficients = inverse @ (design.x.T @ design.y)
    residual = design.y - design.x @ coefficients
    position = design.terms.index(of)
    toward = design.x @ inverse[:, position]
    by_cell = {y: root * toward}
    for k, term in enumerate(design.terms):
        by_cell[term] = root * (inverse[position, k] * residual - toward * coefficients[k])
    index = pd.MultiIndex.from_frame(design.data[[unit, time]])
    return pd.DataFrame(by_cell, index=index)
