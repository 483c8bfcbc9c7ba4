"""Efficiency of units that turn inputs into good and bad outputs: slacks-based and other measures, exact, many at once.

`super_sbm` is the call studies use. What solves it: `programmes` (the models), `frontier` (who is compared with whom),
`simplex` (many programmes at once), `fallback` (HiGHS for what the simplex cannot certify), `reading` (back to
economics).
"""

from analysis.efficiency.directional import ProductivityChange, directional_distance, malmquist_luenberger
from analysis.efficiency.radial_models import radial, radial_intervals, returns_to_scale
from analysis.efficiency.result import Efficiency
from analysis.efficiency.sbm import super_sbm

__all__ = [
    "Efficiency",
    "ProductivityChange",
    "directional_distance",
    "malmquist_luenberger",
    "radial",
    "radial_intervals",
    "returns_to_scale",
    "super_sbm",
]
