"""Difference-in-differences: the two-way regression, its diagnostics, and estimators robust to staggered adoption."""

from analysis.did.adoption import adoption_from_treatment, treatment_from_adoption
from analysis.did.event_study import EventStudy, event_study
from analysis.did.regression import two_way

__all__ = [
    "EventStudy",
    "adoption_from_treatment",
    "event_study",
    "treatment_from_adoption",
    "two_way",
]
