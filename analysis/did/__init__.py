"""Difference-in-differences: the two-way regression, its diagnostics, and estimators robust to staggered adoption."""

from analysis.did.adoption import adoption_from_treatment, treatment_from_adoption
from analysis.did.bacon import Bacon, bacon
from analysis.did.bootstrap import WildBootstrap, wild_bootstrap
from analysis.did.callaway_santanna import callaway_santanna
from analysis.did.event_study import EventStudy, event_study
from analysis.did.groups import GroupDifference, group_difference
from analysis.did.honest import EventPath, honest
from analysis.did.imputation import imputation
from analysis.did.leave_out import LeaveOut, leave_out
from analysis.did.mediation import Mediation, mediation
from analysis.did.placebo import Placebo, placebo
from analysis.did.regression import two_way
from analysis.did.sensitivity import Sensitivity, sensitivity
from analysis.did.sun_abraham import sun_abraham
from analysis.did.synthetic import synthetic
from analysis.did.triple_difference import TripleDifference, triple_difference

__all__ = [
    "Bacon",
    "EventPath",
    "EventStudy",
    "GroupDifference",
    "LeaveOut",
    "Mediation",
    "Placebo",
    "Sensitivity",
    "TripleDifference",
    "WildBootstrap",
    "adoption_from_treatment",
    "bacon",
    "callaway_santanna",
    "event_study",
    "group_difference",
    "honest",
    "imputation",
    "leave_out",
    "mediation",
    "placebo",
    "sensitivity",
    "sun_abraham",
    "synthetic",
    "treatment_from_adoption",
    "triple_difference",
    "two_way",
    "wild_bootstrap",
]
