"""Difference-in-differences: the two-way regression, its diagnostics, and estimators robust to staggered adoption."""

from analysis.did.adoption import adoption_from_treatment, treatment_from_adoption
from analysis.did.bacon import Bacon, bacon
from analysis.did.bootstrap import WildBootstrap, wild_bootstrap
from analysis.did.callaway_santanna import callaway_santanna
from analysis.did.dose import DoseEffects, dose
from analysis.did.double_machine_learning import DoubleMachineLearning, double_machine_learning
from analysis.did.event_study import EventStudy, event_study
from analysis.did.extended_two_way import extended_two_way
from analysis.did.groups import GroupDifference, group_difference
from analysis.did.honest import EventPath, honest
from analysis.did.imputation import imputation
from analysis.did.leave_out import LeaveOut, leave_out
from analysis.did.local_projections import local_projections
from analysis.did.mediation import Mediation, mediation
from analysis.did.placebo import Placebo, placebo
from analysis.did.poisson import poisson
from analysis.did.randomization import Randomization, randomization
from analysis.did.regression import two_way
from analysis.did.sensitivity import Sensitivity, sensitivity
from analysis.did.stacked import stacked
from analysis.did.sun_abraham import sun_abraham
from analysis.did.switching import switching
from analysis.did.synthetic import synthetic
from analysis.did.triple_difference import TripleDifference, triple_difference

__all__ = [
    "Bacon",
    "DoseEffects",
    "DoubleMachineLearning",
    "EventPath",
    "EventStudy",
    "GroupDifference",
    "LeaveOut",
    "Mediation",
    "Placebo",
    "Randomization",
    "Sensitivity",
    "TripleDifference",
    "WildBootstrap",
    "adoption_from_treatment",
    "bacon",
    "callaway_santanna",
    "dose",
    "double_machine_learning",
    "event_study",
    "extended_two_way",
    "group_difference",
    "honest",
    "imputation",
    "leave_out",
    "local_projections",
    "mediation",
    "placebo",
    "poisson",
    "randomization",
    "sensitivity",
    "stacked",
    "sun_abraham",
    "switching",
    "synthetic",
    "treatment_from_adoption",
    "triple_difference",
    "two_way",
    "wild_bootstrap",
]
