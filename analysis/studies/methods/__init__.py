"""The estimators a study may name, one entry each. Adding a method is adding an entry to one of the tables.

Estimators are imported when first used, so that reading a study costs nothing.
"""

from analysis.studies.methods.base import EstimatorLine, Facts, Method, Row, estimate_rows
from analysis.studies.methods.designs import DESIGNS
from analysis.studies.methods.diagnostics import DIAGNOSTICS
from analysis.studies.methods.regressions import REGRESSIONS
from analysis.studies.methods.robust import ROBUST
from analysis.studies.methods.spatial import SPATIAL

#: Module -> its entries.
_TABLES: dict[str, dict[str, Method]] = {
    "regressions": REGRESSIONS,
    "diagnostics": DIAGNOSTICS,
    "robust": ROBUST,
    "designs": DESIGNS,
    "spatial": SPATIAL,
}
METHODS: dict[str, Method] = {name: method for table in _TABLES.values() for name, method in table.items()}
#: Method -> the module of its entry.
MODULES: dict[str, str] = {name: module for module, table in _TABLES.items() for name in table}

__all__ = ["METHODS", "MODULES", "EstimatorLine", "Facts", "Method", "Row", "estimate_rows"]
