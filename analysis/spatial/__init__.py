"""Spatial weights, spatial autocorrelation and spatial panel models.

Only names are gathered here. Weights from borders and coordinates are in ``weights`` and ``geography``, Moran's I and
its relatives in ``autocorrelation``, the models in ``models`` (estimation), ``likelihood`` (numbers), ``effects``
(direct and indirect effects) and ``specification`` (which model to choose).
"""

from analysis.spatial.autocorrelation import geary, local_moran, moran, moran_scatter
from analysis.spatial.effects import Effects
from analysis.spatial.geography import prefecture_coordinates, prefecture_polygons
from analysis.spatial.models import SpatialEstimate, panel
from analysis.spatial.monte_carlo import monte_carlo
from analysis.spatial.specification import choose, hausman, lagrange_multiplier
from analysis.spatial.weights import (
    Weights,
    contiguity,
    distance_bands,
    economic_nested,
    great_circle,
    inverse_distance,
)

__all__ = [
    "Effects",
    "SpatialEstimate",
    "Weights",
    "choose",
    "contiguity",
    "distance_bands",
    "economic_nested",
    "geary",
    "great_circle",
    "hausman",
    "inverse_distance",
    "lagrange_multiplier",
    "local_moran",
    "monte_carlo",
    "moran",
    "moran_scatter",
    "panel",
    "prefecture_coordinates",
    "prefecture_polygons",
]
