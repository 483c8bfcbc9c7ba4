"""What the two policies do to cities: which figures they move, by how much, and the estimand that results.

The innovative clusters add green patents (world.py), new firms, staff in information services and spending on science,
and save energy. The AI zones save land and electricity and add staff with a degree. Neither touches a control of either
study, and neither moves what the other's score is made of, so that each study's twin world is its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.simulation.draws import YEARS, Draws
from analysis.simulation.scores import score
from analysis.simulation.truth import residual_weights

CLUSTER_CONTROLS = ("fin", "open", "industry", "ln_pgdp")
ENERGY_CONTROLS = ("fin", "industry", "ais", "lndensity")
AI_CONTROLS = ("eco", "fe", "ur", "edu", "gov", "op")
#: Outcome -> the estimand that its effect is scaled to. eff and ulgue are targets within 0.01; techhum is smaller than
#: the printed 1.3250, which the mean of 1.10 and a share's SD leave no room for.
TARGETS = {"eff": 0.0366, "ulgue": 0.0638, "eship": 0.3688, "techhum": 0.30, "fintech": 0.0043, "lso": 0.1076}
#: How close to its target the estimand of a score is brought.
TOLERANCE = 5e-4
#: No policy saves more than this of an input, in logs, in an average city three years on.
STRONGEST = 1.5


@dataclass(frozen=True)
class Policy:
    """One policy over the cities: when it starts, how it grows, and how each city responds to it.

    ``adoption`` (n,) first treated year, nan for never; ``since`` and ``strength`` the path of the effect by years
    since then.
    """

    draws: Draws
    adoption: np.ndarray
    since: tuple[float, ...]
    strength: tuple[float, ...]

    @property
    def treated(self) -> np.ndarray:
        """(n, t) whether the policy is on."""
        return YEARS[None, :] >= np.where(np.isnan(self.adoption), 9999, self.adoption)[:, None]

    def pattern(self, outcome: str, spread: float = 0.3) -> np.ndarray:
        """(n, t) the shape of an effect: zero before adoption, growing after it, stronger in some cities."""
        years = np.where(self.treated, YEARS[None, :] - np.nan_to_num(self.adoption, nan=9999)[:, None], 0)
        response = np.exp(self.draws.stream(f"{outcome} effect").normal(0, spread, len(self.adoption)))
        return self.treated * np.interp(years, self.since, self.strength) * response[:, None]

    def weights(self, controls: Mapping[str, np.ndarray], sample: np.ndarray) -> np.ndarray:
        """(n, t) weights of the two-way regression with controls, zero outside the sample or without treated."""
        filled = np.zeros(sample.shape)
        inside = self.treated & sample
        if not inside.any() or ((inside.any(axis=1) == sample.any(axis=1)).all() and (inside == sample).all()):
            return filled
        n, t = len(self.adoption), len(YEARS)
        frame = pd.DataFrame(
            {
                "city": np.repeat(np.arange(n), t),
                "year": np.tile(YEARS, n),
                "treatment": self.treated.reshape(-1).astype(float),
                **{name: values.reshape(-1) for name, values in controls.items()},
            }
        )[sample.reshape(-1)]
        weights = residual_weights(frame, "treatment", list(controls), unit="city", time="year")
        filled[sample] = weights.to_numpy()
        return filled


def clusters_policy(draws: Draws, adoption: np.ndarray) -> Policy:
    """The innovative clusters: three years until the full effect, more later."""
    return Policy(draws, adoption, (0, 3, 10), (0.3, 1.0, 1.5))


def ai_policy(draws: Draws, adoption: np.ndarray) -> Policy:
    """The AI zones, whose effect comes sooner."""
    return Policy(draws, adoption, (0, 2, 4), (0.5, 1.0, 1.3))


def additive_effect(policy: Policy, outcome: str, weights: np.ndarray) -> np.ndarray:
    """(n, t) an effect of the policy's pattern, scaled so that its weighted sum is the target."""
    pattern = policy.pattern(outcome)
    total = float((weights * pattern).sum())
    return pattern * (TARGETS[outcome] / total) if total > 0 else 0 * pattern


@dataclass(frozen=True)
class Saved:
    """What a policy that saves inputs makes of a score.

    ``inputs`` are the reduced ones (n, t) by name; ``without``, ``observed`` the score in the twin world and as it is;
    ``spilled`` (n, t) the part of their difference that comes from neighbours' policies, or None.
    """

    inputs: dict[str, np.ndarray]
    without: np.ndarray
    observed: np.ndarray
    spilled: np.ndarray | None = None


def saving(
    policy: Policy,
    outcome: str,
    saved: Sequence[str],
    cities: pd.DataFrame,
    values: Mapping[str, np.ndarray],
    weights: np.ndarray,
    reach: np.ndarray | None = None,
) -> Saved:
    """Inputs that the policy reduces until the score's estimand is the target.

    With ``reach`` (n, n), each city also saves what its neighbours' policies pass on: that times their pattern, on top
    of the savings that were solved for without it.
    """
    without = score(outcome, cities, values)
    pattern = policy.pattern(outcome)
    if not (weights * pattern).any():
        return Saved({name: values[name] for name in saved}, without, without)
    first = int(np.nanmin(policy.adoption))

    def reduced(amount: np.ndarray) -> tuple[dict[str, np.ndarray], np.ndarray]:
        less = {name: values[name] * np.exp(-amount) for name in saved}
        after = score(outcome, cities, {**values, **less}, first)
        return less, np.where(np.isnan(after), without, after)

    found: dict[float, tuple[dict[str, np.ndarray], np.ndarray]] = {}

    def effect(strength: float) -> float:
        found[strength] = reduced(strength * pattern)
        return float(np.nansum(weights * (found[strength][1] - without)))

    chosen = _solve(effect, TARGETS[outcome])
    less, own = found[chosen]
    if reach is None:
        return Saved(less, without, own)
    less, observed = reduced(chosen * (pattern + reach @ pattern))
    return Saved(less, without, observed, observed - own)


def _solve(effect: Callable[[float], float], target: float) -> float:
    """The strength whose effect is nearest to the target among those that the secant method tries."""
    tried = {0.0: 0.0}
    strength = 0.25
    for _ in range(8):
        tried[strength] = effect(strength)
        if abs(tried[strength] - target) < TOLERANCE:
            break
        below = max((s for s, e in tried.items() if e <= target), default=0.0)
        above = min((s for s, e in tried.items() if e > target), default=None)
        if above is None:
            strength = min(strength * max(1.2, min(target / max(tried[strength], 1e-6), 2.5)), STRONGEST)
        else:
            step = (target - tried[below]) / (tried[above] - tried[below])
            strength = below + min(max(step, 0.05), 0.95) * (above - below)
        if strength in tried:
            break
    return min((s for s in tried if s > 0), key=lambda s: abs(tried[s] - target))
