"""Instrumental variables: two-stage least squares with absorbed effects, and tests of whether the instruments serve."""

from analysis.iv.identification import AndersonRubin
from analysis.iv.regression import FirstStage, TwoStage, two_stage
from analysis.iv.stock_yogo import critical_values

__all__ = ["AndersonRubin", "FirstStage", "TwoStage", "critical_values", "two_stage"]
