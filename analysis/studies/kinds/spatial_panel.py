"""Columns of spatial panel models."""

from __future__ import annotations

from analysis.studies.kinds._columns import models_across
from analysis.studies.kinds._kind import Kind
from analysis.studies.kinds._space import of_space

KIND = Kind(written=of_space("spatial_panel"), layout=models_across, part="space")
