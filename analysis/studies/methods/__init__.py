"""The estimators a study may name, one entry each. Adding a method is adding an entry to one of the tables.

Estimators are imported when first used, so that reading a study costs nothing.
"""

from analysis.studies.methods.base import EstimatorLine, Facts, Method, Row, estimate_rows
from analysis.studies.methods.designs import DESIGNS
from analysis.studies.methods.diagnostics import DIAGNOSTICS
from analysis.studies.methods.regressions import REGRESSIONS
from analysis.studies.methods.robust import ROBUST
from analysis.studies.methods.spatial import SPATIAL

METHODS: dict[str, Method] = {**REGRESSIONS, **DIAGNOSTICS, **ROBUST, **DESIGNS, **SPATIAL}

__all__ = ["METHODS", "EstimatorLine", "Facts", "Method", "Row", "estimate_rows"]
