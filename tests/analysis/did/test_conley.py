"""Conley's variance: diff-diff's (equal to R's conleyreg there), its limits in clusters, and its coverage."""

import numpy as np
import pandas as pd
import pytest

from analysis.did import two_way
from analysis.results import CannotEstimate

KEYS = {"unit": "unit", "time": "year"}
PLACES = {"coordinates": ("lat", "lon"), "covariance": "conley"}


def placed_panel(seed: int = 1, *, units: int = 60, years: int = 7, share: float = 0.9) -> pd.DataFrame:
    """Units in a country of some 2,000 km, shocks that neighbours share, some rows missing."""
    generator = np.random.default_rng(seed)
    lat, lon = generator.uniform(22, 42, units), generator.uniform(100, 120, units)
    unit, year = np.repeat(np.arange(units), years), np.tile(np.arange(2001, 2001 + years), units)
    distance = np.hypot(lat[:, None] - lat, lon[:, None] - lon)
    shared = np.linalg.cholesky(np.exp(-distance / 4) + 1e-9 * np.eye(units))
    x, e = (shared @ generator.normal(size=(units, years)) for _ in range(2))
    frame = pd.DataFrame({"unit": unit, "year": year, "lat": lat[unit], "lon": lon[unit], "x": x.ravel()})
    frame["z"] = generator.normal(size=len(frame))
    frame["y"] = 0.5 * frame["x"] + e.ravel() + 0.3 * unit
    return frame.sample(frac=share, random_state=seed)


@pytest.mark.parametrize("kernel", ["uniform", "bartlett"])
@pytest.mark.parametrize("lag", [0, 2])
def test_errors_equal_those_of_diff_diff_which_are_conleyregs(kernel: str, lag: int) -> None:
    from diff_diff.conley import _compute_conley_vcov

    panel = placed_panel()
    ours = two_way(panel, "y", "x", ["z"], **KEYS, **PLACES, cutoff_km=400, lag_cutoff=lag, kernel=kernel)
    dummies = np.column_stack([pd.get_dummies(panel["unit"]), pd.get_dummies(panel["year"])]).astype(float)
    swept = panel[["y", "x", "z"]].to_numpy()
    swept = swept - dummies @ np.linalg.lstsq(dummies, swept, rcond=None)[0]
    x = swept[:, 1:]
    residual = swept[:, 0] - x @ np.linalg.lstsq(x, swept[:, 0], rcond=None)[0]
    theirs = _compute_conley_vcov(
        x,
        residual,
        panel[["lat", "lon"]].to_numpy(),
        400.0,
        "haversine",
        kernel,
        x.T @ x,
        time=panel["year"].to_numpy(),
        unit=panel["unit"].to_numpy(),
        lag_cutoff=lag,
    )
    n, k = len(panel), 2 + np.linalg.matrix_rank(dummies)
    assert np.allclose(ours.table["se"], np.sqrt(np.diag(theirs) * (n - 1) / (n - k)), rtol=1e-6)
    assert ours.n == n


def test_a_cutoff_of_nothing_gives_clusters_by_unit_and_of_everything_clusters_by_unit_and_period() -> None:
    panel = placed_panel()
    n, units, years = len(panel), panel["unit"].nunique(), panel["year"].nunique()
    by_unit = two_way(panel, "y", "x", ["z"], **KEYS)
    nobody = two_way(panel, "y", "x", ["z"], **KEYS, **PLACES, cutoff_km=0)
    assert np.allclose(nobody.table["se"] * np.sqrt(units / (units - 1)), by_unit.table["se"], rtol=1e-9)
    assert nobody.degrees_of_freedom == units - 1
    both = two_way(panel, "y", "x", ["z"], **KEYS, cluster=["unit", "time"])
    everybody = two_way(panel, "y", "x", ["z"], **KEYS, **PLACES, cutoff_km=30_000)
    # clusters by period count no year effects either
    ratio = np.sqrt(years / (years - 1) * (n - 2 - years) / (n - 2 - 1))
    assert np.allclose(everybody.table["se"] * ratio, both.table["se"], rtol=1e-9)


def test_errors_see_the_correlation_of_neighbours_that_clusters_by_unit_miss() -> None:
    shares = {}
    panels = [placed_panel(seed, units=80) for seed in range(80)]
    for name, options in {"unit": {}, "conley": {**PLACES, "cutoff_km": 600}}.items():
        found = [two_way(panel, "y", "x", **KEYS, **options).table.iloc[0] for panel in panels]
        shares[name] = np.mean([row["low"] <= 0.5 <= row["high"] for row in found])
    assert shares["unit"] < 0.85
    assert shares["conley"] > shares["unit"] + 0.05


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda p: p.assign(lat=p["lat"].mask(p["unit"] == 7)), r"place of unit 7 .* is missing or no degrees"),
        (lambda p: p.assign(lat=p["lat"] + 90), "no degrees"),
        (lambda p: p.assign(lon=p["lon"] + (p["year"] > 2003)), "changes over time"),
    ],
)
def test_places_that_are_none_are_refused(change, message: str) -> None:
    with pytest.raises(CannotEstimate, match=message):
        two_way(change(placed_panel()), "y", "x", **KEYS, **PLACES, cutoff_km=300)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"covariance": "conley"}, "needs coordinates and cutoff_km"),
        ({"coordinates": ("lat", "lon")}, "nothing else takes them"),
        ({**PLACES, "cutoff_km": 300, "cluster": "year"}, "takes the place of clusters"),
        ({**PLACES, "cutoff_km": -1}, "0 km or more"),
        ({**PLACES, "cutoff_km": 300, "kernel": "square"}, "'uniform' or 'bartlett'"),
        ({**PLACES, "cutoff_km": 300, "lag_cutoff": 1.5}, "whole number of periods"),
    ],
)
def test_calls_that_contradict_themselves_are_refused(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        two_way(placed_panel(), "y", "x", **KEYS, **options)
