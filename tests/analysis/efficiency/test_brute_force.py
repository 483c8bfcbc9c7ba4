"""Super-SBM against an independent dense linear programme written here, on thousands of small random problems."""

import itertools
import zlib

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import linprog

from analysis.efficiency import super_sbm

FRONTIERS = ["contemporaneous", "global", "sequential", "window"]
OPTIONS = list(
    itertools.product(
        FRONTIERS, ["crs", "vrs", "nirs", "ndrs"], ["none", "input", "output"], ["none", "slack", "bad_as_input"]
    )
)
PROBLEMS = 7
SCORES = 2
UNITS = 4
PERIODS = 3
WINDOW = 2


def dense_score(x, y, b, k, reference, returns, orientation, objective, leave_out):
    """The definition, variable by variable: t, lambda, then slacks of inputs, goods, bads; None where infeasible."""
    # Scores do not depend on units; the solver's tolerances do.
    x, y, b = x / x.mean(axis=0), y / y.mean(axis=0), b / b.mean(axis=0)
    if objective == "bad_as_input":
        x, b = np.hstack([x, b]), b[:, :0]
    m, q1, q2 = x.shape[1], y.shape[1], b.shape[1]
    peers = [j for j in reference if not (leave_out and j == k)]
    n, q = len(peers), q1 + q2
    sign = 1.0 if leave_out else -1.0
    columns = 1 + n + m + q
    slack = 1 + n
    cost = np.zeros(columns)
    cost[0] = 1
    if orientation != "output":
        cost[slack : slack + m] = sign / (m * x[k])
    normal = np.zeros(columns)
    normal[0] = 1
    if orientation != "input":
        normal[slack + m :] = -sign / (q * np.concatenate([y[k], b[k]]))
    rows = []
    for i in range(m):
        rows.append(np.concatenate([[-x[k, i]], x[peers, i], -sign * np.eye(m + q)[i]]))
    for r in range(q1):
        rows.append(np.concatenate([[y[k, r]], -y[peers, r], -sign * np.eye(m + q)[m + r]]))
    for t in range(q2):
        rows.append(np.concatenate([[-b[k, t]], b[peers, t], -sign * np.eye(m + q)[m + q1 + t]]))
    sums = np.concatenate([[-1.0], np.ones(n), np.zeros(m + q)])
    upper = {"crs": [], "vrs": [], "nirs": [sums], "ndrs": [-sums]}[returns]
    equal = [normal] + ([sums] if returns == "vrs" else [])
    bounds = [(0, None)] * columns
    if leave_out:
        upper = upper + rows
        blocked = {"none": [], "input": range(m, m + q), "output": range(m)}[orientation]
        for place in blocked:
            bounds[slack + place] = (0, 0)
    else:
        equal = equal + rows
    answer = linprog(
        cost,
        A_ub=np.array(upper) if upper else None,
        b_ub=np.zeros(len(upper)) if upper else None,
        A_eq=np.array(equal),
        b_eq=np.eye(len(equal))[0],
        bounds=bounds,
        method="highs-ds",
        options={"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10, "presolve": False},
    )
    return answer.fun if answer.status == 0 else None


def brute_force(x, y, b, k, reference, returns, orientation, objective):
    plain = dense_score(x, y, b, k, reference, returns, orientation, objective, leave_out=False)
    if plain <= 1 - 1e-9:
        return plain
    return dense_score(x, y, b, k, reference, returns, orientation, objective, leave_out=True)


def reference_rows(frontier, period, k):
    now = period[k]
    first = {"contemporaneous": now, "global": 0, "sequential": 0, "window": now - WINDOW + 1}[frontier]
    last = PERIODS if frontier == "global" else now
    return [j for j in range(len(period)) if first <= period[j] <= last]


@pytest.mark.parametrize(("frontier", "returns", "orientation", "bads"), OPTIONS)
def test_scores_equal_a_dense_programme_for_every_option(frontier, returns, orientation, bads):
    random = np.random.default_rng(zlib.crc32(repr((frontier, returns, orientation, bads)).encode()))
    for problem in range(PROBLEMS):
        m, q1 = random.integers(1, 4, 2)
        q2 = 0 if bads == "none" else random.integers(1, 4)
        n = UNITS * PERIODS
        values = random.lognormal(0, random.choice([0.3, 1.5]), (n, m + q1 + q2)) * 10.0 ** random.integers(
            -3, 5, m + q1 + q2
        )
        if problem % 4 == 3:
            values = random.integers(1, 5, (n, m + q1 + q2)).astype(float)
        names = [f"c{place}" for place in range(m + q1 + q2)]
        period = np.repeat(np.arange(PERIODS), UNITS)
        data = pd.DataFrame(values, columns=names).assign(year=2010 + period)
        table = super_sbm(
            data,
            inputs=names[:m],
            outputs=names[m : m + q1],
            bad_outputs=names[m + q1 :],
            period="year",
            frontier=frontier,
            returns=returns,
            orientation=orientation,
            objective="bad_as_input" if bads == "bad_as_input" else "slack",
            window=WINDOW,
        ).table
        x, y, b = values[:, :m], values[:, m : m + q1], values[:, m + q1 :]
        for k in random.choice(n, SCORES, replace=False):
            expected = brute_force(x, y, b, k, reference_rows(frontier, period, k), returns, orientation, bads)
            if expected is None:
                assert np.isnan(table["score"].iloc[k]) and table["status"].iloc[k].startswith("infeasible")
            else:
                assert table["score"].iloc[k] == pytest.approx(expected, rel=1e-8, abs=1e-8)
                assert table["status"].iloc[k].startswith("ok")
