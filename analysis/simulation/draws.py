"""Random numbers of the sample world: one stream a variable, series that persist, distributions with given moments.

No variable of the world is defined here; those stand in world.py and resources.py.
"""

from __future__ import annotations

import zlib

import numpy as np
import pandas as pd
from scipy import optimize

YEARS = np.arange(2000, 2024)
#: The sample years of the two studies.
STUDY_YEARS = (2006, 2021)
AI_YEARS = (2015, 2023)


def stream(seed: int, name: str) -> np.random.Generator:
    """The random numbers of one variable, independent of all others."""
    return np.random.default_rng([seed, zlib.crc32(name.encode())])


class Draws:
    """The cities of one world and the loadings that its variables share.

    Attributes
    ----------
    place
        (n rows) the list of cities, in order of code.
    shape
        (n, t).
    size
        (n,) how large a place a city is, in SDs of ordinary prefectures.
    region
        (n,) 0.3 in the east, -0.3 in the west.
    sample, ai_sample
        (n, t) cities and years of the clusters study and of the AI study.
    """

    def __init__(self, place: pd.DataFrame, seed: int) -> None:
        self.place, self.seed = place, seed
        self.shape = (len(place), len(YEARS))
        level = place.level.map({"municipality": 2.6, "sub-provincial": 1.6, "provincial capital": 1.0}).fillna(0.0)
        region = place.region.map({"east": 0.3, "west": -0.3}).fillna(0.0)
        usual = place.panel_286.astype(int).astype(bool)
        self.region = region.to_numpy()
        self.size = (level + region - 2.5 * ~usual).to_numpy() + np.clip(
            stream(seed, "size").normal(0, 0.5, len(place)), -1, 1
        )
        self.sample = np.outer(place["sample"].to_numpy(), _within(STUDY_YEARS))
        self.ai_sample = np.outer(usual.to_numpy(), _within(AI_YEARS))

    def latent(
        self, name: str, *, size: float = 0, region: float = 0, city: float = 0, path: float = 0, drift: float = 0.05,
        shock: float = 0.04,
    ) -> np.ndarray:  # fmt: skip
        """(n, t): loadings on size and region, a city's own level, the nation's path, a city's drift, AR(1) shocks."""
        rng = stream(self.seed, name)
        n = self.shape[0]
        time = (YEARS - 2013.5) / 8
        level = size * self.size + region * self.region + city * np.clip(rng.normal(size=n), -2, 2)
        own = drift * rng.normal(size=n)
        return level[:, None] + path * time + own[:, None] * time + shock * persistent(rng, self.shape, 0.6)

    def stream(self, name: str) -> np.random.Generator:
        """The random numbers of one variable of this world."""
        return stream(self.seed, name)


def _within(years: tuple[int, int]) -> np.ndarray:
    """(t,) whether a year lies between the two, ends included."""
    return (years[0] <= YEARS) & (years[1] >= YEARS)


def persistent(rng: np.random.Generator, shape: tuple[int, int], rho: float) -> np.ndarray:
    """Stationary AR(1) series with unit variance, one a row."""
    values = rng.normal(size=shape)
    for t in range(1, shape[1]):
        values[:, t] = rho * values[:, t - 1] + np.sqrt(1 - rho**2) * values[:, t]
    return values


def rescale(latent: np.ndarray, sample: np.ndarray, mean: float, sd: float) -> np.ndarray:
    """``latent`` shifted and stretched to a mean and SD over the sample."""
    inside = latent[sample]
    return mean + sd * (latent - inside.mean()) / inside.std(ddof=1)


def lognormal(
    latent: np.ndarray, sample: np.ndarray, mean: float, sd: float, added: np.ndarray | float = 0.0
) -> np.ndarray:
    """exp(m + s latent) with m and s such that mean and SD of it plus ``added`` over the sample are as given."""
    standard = rescale(latent, sample, 0.0, 1.0)
    more = np.broadcast_to(added, latent.shape)[sample]

    def scaled(s: float) -> np.ndarray:
        values = np.exp(s * standard)
        return values * ((mean - more.mean()) / values[sample].mean())

    def excess(s: float) -> float:
        return float((scaled(s)[sample] + more).std(ddof=1)) - sd

    return scaled(optimize.brentq(excess, 1e-3, 6.0, xtol=1e-12))
