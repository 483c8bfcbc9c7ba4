"""Propensity-score matching: scores, neighbours, balance and effects on the treated."""

from analysis.matching.entropy import EntropyBalance, entropy_balance
from analysis.matching.estimator import match
from analysis.matching.result import Matching, TreatmentEffect

__all__ = ["EntropyBalance", "Matching", "TreatmentEffect", "entropy_balance", "match"]
