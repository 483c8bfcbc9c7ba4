"""A second opinion on every published estimate: other engines compute it again from the panel and the study's words.

`second_opinions` is pure and of one exhibit, so that unchanged exhibits need not be asked again. `opinion` says what it
is to agree, `engines` which engine is asked for which method, `line` what stands under a table.
"""

from analysis.agreement.exhibit import second_opinions
from analysis.agreement.line import lines
from analysis.agreement.opinion import COLUMNS, CONFIRMED, CONVENTION, DIFFERS, NONE, TOLERANCE, Opinion
from analysis.agreement.scores import second_scores

__all__ = [
    "COLUMNS",
    "CONFIRMED",
    "CONVENTION",
    "DIFFERS",
    "NONE",
    "TOLERANCE",
    "Opinion",
    "lines",
    "second_opinions",
    "second_scores",
]
