"""Super-SBM against a loop of scipy's linprog over the same programmes, in the same run, and its growth with size.

Processor seconds, not wall clock: other work on the machine must not decide.
"""

import time

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import linprog

from analysis.efficiency import super_sbm

INPUTS, OUTPUTS, BADS = ["labour", "capital", "energy"], ["gdp"], ["so2", "soot", "water"]
ROLES = {"inputs": INPUTS, "outputs": OUTPUTS, "bad_outputs": BADS}
SAMPLE = 40


def cities(count, years, seed=0):
    """Units near a curved frontier, so that about a quarter are efficient: hard for anything that drops the others."""
    random = np.random.default_rng(seed)
    n = count * years
    mix = random.normal(0, 0.5, (n, 6))
    mix -= mix.mean(axis=1, keepdims=True)
    gdp = random.lognormal(0, 1, (n, 1))
    other = gdp * np.exp(mix + np.abs(random.normal(0, 0.15, (n, 1))))
    values = np.hstack([other[:, :3], gdp, other[:, 3:]])
    return pd.DataFrame(values, columns=INPUTS + OUTPUTS + BADS).assign(year=np.tile(np.arange(years), count))


def plain_programme(values, k):
    """The plain SBM of one unit as one would write it: t, lambda, slacks."""
    signed = values * [1, 1, 1, -1, 1, 1, 1]
    own = values[k]
    n, rows = values.shape
    cost = np.concatenate([[1.0], np.zeros(n), -1 / (3 * own[:3]), np.zeros(4)])
    normal = np.concatenate([[1.0], np.zeros(n + 3), 1 / (4 * own[3:])])
    body = np.hstack([-signed[[k]].T, signed.T, np.eye(rows)])
    answer = linprog(cost, A_eq=np.vstack([normal, body]), b_eq=np.eye(rows + 1)[0], method="highs")
    return answer.fun


def timed(call):
    start = time.process_time()
    result = call()
    return time.process_time() - start, result


@pytest.mark.benchmark
@pytest.mark.parametrize(
    ("count", "years", "frontier"), [(286, 9, "contemporaneous"), (281, 16, "global"), (281, 16, "contemporaneous")]
)
def test_scores_are_thirty_times_faster_than_a_loop_of_linprog(count, years, frontier, measured):
    data = cities(count, years)
    columns = INPUTS + OUTPUTS + BADS
    super_sbm(data.iloc[:500], **ROLES)
    ours, result = min(
        (timed(lambda: super_sbm(data, **ROLES, period="year", frontier=frontier)) for _ in range(3)),
        key=lambda run: run[0],
    )
    plain = result.table["sbm"].to_numpy()
    chosen = np.random.default_rng(1).choice(len(data), SAMPLE, replace=False)
    loop = 0.0
    for row in chosen:
        peers = data if frontier == "global" else data[data["year"] == data["year"].iloc[row]]
        values = peers[columns].to_numpy()
        k = peers.index.get_loc(data.index[row])
        seconds, score = timed(lambda values=values, k=k: plain_programme(values, k))
        loop += seconds * len(data) / SAMPLE
        assert plain[row] == pytest.approx(score, abs=1e-6)
    measured(f"SBM and super-SBM, {count} x {years} {frontier}", ours, "linprog loop, SBM only", loop)
    assert loop / ours > 30


@pytest.mark.benchmark
def test_scores_equal_those_of_deapack_and_come_ten_times_faster(measured):
    deapack = pytest.importorskip("deapack")
    data = cities(281, 1)
    ours, result = min((timed(lambda: super_sbm(data, **ROLES)) for _ in range(3)), key=lambda run: run[0])
    theirs = deapack.DEAData.from_frame(data.assign(name=[f"unit {row}" for row in data.index]), dmu="name", **ROLES)
    seconds, scores = timed(lambda: deapack.UndesirableSBM(returns_to_scale="crs").fit(theirs).summary_frame)
    assert scores["score"].to_numpy() == pytest.approx(result.table["sbm"].to_numpy(), abs=1e-9)
    measured("SBM and super-SBM, 281 units", ours, "deapack, SBM only", seconds)
    assert seconds / ours > 10


@pytest.mark.benchmark
def test_time_grows_more_slowly_than_the_power_of_one_and_a_half(measured):
    times = {}
    for count, repeats in ((2500, 3), (50_000, 1)):
        data = cities(count, 1)
        times[count] = min(timed(lambda data=data: super_sbm(data, **ROLES))[0] for _ in range(repeats))
    measured("super-SBM, 50,000 units on one frontier", times[50_000], "2,500 units, power 1.5", times[2500] * 20**1.5)
    assert times[50_000] < times[2500] * 20**1.5
