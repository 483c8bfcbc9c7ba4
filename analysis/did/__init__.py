"""Difference-in-differences: the two-way regression, its diagnostics, and estimators robust to staggered adoption."""

from analysis.did.regression import two_way

__all__ = ["two_way"]
