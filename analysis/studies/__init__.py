"""Studies as data: what a study YAML may say, and the engine that computes its exhibits from a panel.

The estimators live in the sibling packages; nothing here knows where a panel comes from or how a table looks.
"""

from analysis.studies.records import Study
from analysis.studies.result import ExhibitResult
from analysis.studies.run import run_exhibit, run_study
from analysis.studies.spec import catalogue, load, studies_table, study_policies_table, variables_table

__all__ = [
    "ExhibitResult",
    "Study",
    "catalogue",
    "load",
    "run_exhibit",
    "run_study",
    "studies_table",
    "study_policies_table",
    "variables_table",
]
