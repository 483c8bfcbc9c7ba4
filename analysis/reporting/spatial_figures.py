"""Pictures of space: Moran scatter, cluster map, reach of a spillover, map of neighbours; and the same in words.

The canvas is in `figures`, borders in `maps`; numbers come from `analysis.studies.methods.spatial`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy import sparse

from analysis.reporting import maps
from analysis.reporting.picture import Picture
from analysis.studies.methods.spatial import CLASSES
from analysis.studies.records import Model

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from analysis.studies.methods.spatial import CityWeights, Clusters, MoranByYear, SpatialEffects, Spillovers


@dataclass(frozen=True)
class _Scatter:
    """Points of one matrix in the last year: ``z`` and ``lag`` a city, and Moran's I with its p."""

    points: pd.DataFrame
    i: float
    p: float


def _scatters(fitted: MoranByYear) -> dict[str, _Scatter]:
    """A panel a matrix, by what its title says."""
    parts = {}
    last = fitted.table[fitted.table["year"] == fitted.year].set_index("matrix")
    for name, points in fitted.points.groupby("matrix", sort=False):
        i, p = float(last["i"][name]), float(last["p"][name])
        parts[f"{name}, {fitted.year}"] = _Scatter(points, i, p)
    return parts


def _moran(axis: Axes, part: _Scatter, model: Model) -> None:
    """Each city's standardised value against the weighted mean of its neighbours', and the line through them."""
    z, lag = part.points["z"].to_numpy(dtype=float), part.points["lag"].to_numpy(dtype=float)
    for draw in (axis.axhline, axis.axvline):
        draw(0, color="0.35", linewidth=0.8)
    axis.plot(z, lag, linestyle="", marker="o", markersize=3, markerfacecolor="0.75", markeredgecolor="0.35")
    ends = np.array([z.min(), z.max()])
    slope = float(z @ lag / (z @ z))  # z has mean zero; the lag need not, where some cities weigh more
    axis.plot(ends, lag.mean() + slope * ends, color="black", linewidth=1.4)
    told = f"I = {part.i:.3f}, p {_p(part.p)}".replace("-", "\u2212")
    box = {"facecolor": "white", "edgecolor": "none", "pad": 1.5}
    axis.annotate(told, (0.98, 0.97), xycoords="axes fraction", ha="right", va="top", fontsize=9, bbox=box)
    axis.set_ylabel("Spatial lag")


def _p(value: float) -> str:
    return "< 0.001" if value < 0.0005 else f"= {value:.3f}"


def _moran_words(fitted: MoranByYear) -> str:
    parts = []
    for name, part in _scatters(fitted).items():
        inside = (part.points["z"] * part.points["lag"]).gt(0).mean()
        parts.append(f"{name}: Moran's I {part.i:.3f}, p {_p(part.p)}, {inside:.0%} of cities like their neighbours")
    return "; ".join(parts)


#: Class of local Moran's I -> its fill, told apart without colour.
_FILLS = {
    "high-high": maps.Fill("0.15"),
    "low-low": maps.Fill("0.55"),
    "high-low": maps.Fill("0.8", "/////"),
    "low-high": maps.Fill("0.95", "..."),
    "not significant": maps.Fill("0.9"),
}


def _clusters(axis: Axes, fitted: Clusters, model: Model) -> None:
    """Cities by class of local Moran's I."""
    table = fitted.table.set_index("city_code")
    maps.categories(axis, table["cluster"], {name: _FILLS[name] for name in CLASSES})


def _clusters_words(fitted: Clusters) -> str:
    counts = fitted.table["cluster"].value_counts()
    return f"in {fitted.year} " + ", ".join(f"{int(counts.get(name, 0))} cities {name}" for name in CLASSES)


def _reach(axis: Axes, fitted: SpatialEffects, model: Model) -> None:
    """The treatment's indirect effect by band of distance with 95% intervals; below, how many cities a band holds."""
    bands = fitted.bands[fitted.bands["term"] == model.treatment]
    place = np.arange(len(bands))
    estimate, se = (bands[key].to_numpy(dtype=float) for key in ("estimate", "se"))
    axis.axhline(0, color="0.35", linewidth=0.8)
    axis.vlines(place, estimate - 1.96 * se, estimate + 1.96 * se, color="0.45", linewidth=1.6)
    axis.plot(place, estimate, linestyle="", marker="o", markersize=5, color="black")
    ends = [band.split("-") for band in bands["band"]]
    names = [f"{low}\u2013{high}" if last else f"> {low}" for low, high, last in _marked(ends)]
    labels = [f"{name}\n{cities:.0f}" for name, cities in zip(names, bands["cities"], strict=True)]
    axis.set_xticks(place, labels, fontsize=8)
    axis.set_ylabel("Indirect effect, 95%")


def _marked(ends: list[list[str]]) -> list[tuple[str, str, bool]]:
    """Edges of each band and whether others follow it: the last holds all that is farther."""
    return [(low, high, position + 1 < len(ends)) for position, (low, high) in enumerate(ends)]


def _reach_words(fitted: SpatialEffects) -> str:
    term = fitted.bands["term"].iloc[0]
    bands = fitted.bands[fitted.bands["term"] == term]
    told = ", ".join(f"{row['estimate']:.3f} over {row['band']} km" for _, row in bands.iterrows())
    return f"indirect effect {told}"


#: Share of the direct effect -> the fill of cities that receive up to it.
_SHARES = {
    "no more than a hundredth": (0.01, maps.Fill("0.95")),
    "up to a tenth": (0.1, maps.Fill("0.8")),
    "up to a quarter": (0.25, maps.Fill("0.6")),
    "more than a quarter": (np.inf, maps.Fill("0.3")),
    "pilot": (np.nan, maps.Fill("1.0", "/////")),
}


def _shares(fitted: Spillovers) -> pd.Series:
    """City -> which share of the direct effect it receives from others, in words."""
    table = fitted.table.set_index("city_code")
    names = list(_SHARES)
    share = table["received"].abs() / abs(fitted.direct)
    edges = [-np.inf, *(_SHARES[name][0] for name in names[:-1])]
    found = pd.cut(share, edges, labels=names[:-1]).astype(object)
    return found.mask(table["treated"] == 1, "pilot")


def _received(axis: Axes, fitted: Spillovers, model: Model) -> None:
    """Cities by what they receive from the pilots among the others, as a share of the direct effect."""
    maps.categories(axis, _shares(fitted), {name: fill for name, (_, fill) in _SHARES.items()})
    axis.set_title(f"{model.label}, {fitted.year}: received from others, of the direct effect")


def _received_words(fitted: Spillovers) -> str:
    counts = _shares(fitted).value_counts()
    return f"in {fitted.year} " + ", ".join(f"{int(counts.get(name, 0))} cities {name}" for name in _SHARES)


#: Mean number of neighbours above which a map of links shows each city's largest weight only.
DENSE = 12


def _neighbours(axis: Axes, fitted: CityWeights, model: Model) -> None:
    """Pilot cities dark, lines between neighbours; in a dense matrix, from each city to its largest weight."""
    category = fitted.places["adoption"].notna().map({True: "pilot", False: "no pilot"})
    maps.categories(axis, category, {"pilot": maps.Fill("0.5"), "no pilot": maps.Fill("0.88")})
    places = fitted.places[["longitude", "latitude"]].to_numpy(dtype=float)
    maps.lines(axis, np.stack([places[i] for i in _links(fitted.weights.matrix)], axis=1))
    what = "lines link neighbours" if not _is_dense(fitted.weights.matrix) else "lines lead to the largest weight"
    axis.set_title(f"{model.label}: {what}")


def _is_dense(matrix: sparse.csr_array) -> bool:
    return bool(matrix.nnz > DENSE * matrix.shape[0])


def _links(matrix: sparse.csr_array) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of the links to draw."""
    if not _is_dense(matrix):
        links = matrix.tocoo()
        return links.row, links.col
    return np.arange(matrix.shape[0]), np.asarray(matrix.toarray().argmax(axis=1))


def _neighbours_words(fitted: CityWeights) -> str:
    count = fitted.neighbours["count"]
    return f"{len(count)} cities with {count.min()} to {count.max()} neighbours, {count.mean():.1f} on average"


_MAP: dict[str, Any] = {"wide": maps.WIDTH / 4.8, "tall": maps.HEIGHT / 3.1}
SPATIAL_PICTURES: dict[str, Picture] = {
    "moran": Picture(_moran, "Standardised value", _moran_words, split=_scatters),
    "local_moran": Picture(_clusters, "", _clusters_words, **_MAP),
    "spatial_effects": Picture(
        _reach, "Kilometres between cities; below, other cities in the band", _reach_words, wide=1.25
    ),
    "spatial_spillovers": Picture(_received, "", _received_words, **_MAP),
    "spatial_weights": Picture(_neighbours, "", _neighbours_words, **_MAP),
}
