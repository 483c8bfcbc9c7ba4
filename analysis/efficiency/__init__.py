"""Efficiency of units that turn inputs into good and bad outputs: slacks-based measures, exact, many at once.

`super_sbm` is the call studies use. What solves it: `programmes` (the models), `frontier` (who is compared with whom),
`simplex` (many programmes at once), `fallback` (HiGHS for what the simplex cannot certify), `reading` (back to
economics).
"""

from analysis.efficiency.result import Efficiency
from analysis.efficiency.sbm import super_sbm

__all__ = ["Efficiency", "super_sbm"]
