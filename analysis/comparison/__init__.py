"""Two publications beside each other: what changed, and why estimates moved. Plain functions on data frames."""

from analysis.comparison.causes import Reason
from analysis.comparison.changes import COLUMNS, Comparison, Snapshot, compare, headline, headline_effects, shaped

__all__ = ["COLUMNS", "Comparison", "Reason", "Snapshot", "compare", "headline", "headline_effects", "shaped"]
