"""Two-stage least squares with absorbed effects: the estimate, its variance, its first stage.

Tests of the instruments live in `identification`, critical values in `stock_yogo`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import linalg, stats

from analysis.did.regression import Design, design_matrix
from analysis.estimation_sample import codes_of, effect_columns
from analysis.fixed_effects import NoEffects, dummies_rank, identified, is_nested, lengths
from analysis.iv.identification import (
    AndersonRubin,
    EffectiveF,
    Setting,
    anderson_rubin,
    effective_f,
    overidentification,
    quadratic_form,
    rank_tests,
)
from analysis.iv.stock_yogo import critical_values
from analysis.results import CannotEstimate, Estimate, inference_table


@dataclass(frozen=True, kw_only=True)
class FirstStage(Estimate):
    """One endogenous regressor on instruments and controls, with small-sample standard errors as ivreg2 prints them.

    ``f`` and ``f_p`` test the excluded instruments; ``partial_r2`` is their share of what effects and controls leave.
    """

    f: float
    f_p: float
    partial_r2: float


@dataclass(frozen=True, kw_only=True)
class TwoStage(Estimate):
    """Two-stage least squares: `Estimate` and what tells whether to believe it.

    Attributes
    ----------
    first_stage
        Endogenous column -> `FirstStage`.
    kp_rk_lm, kp_rk_lm_p
        Kleibergen-Paap rk LM statistic and its p: null of underidentification.
    kp_rk_wald_f
        Kleibergen-Paap rk Wald F: strength of the instruments.
    cragg_donald_f
        Cragg-Donald Wald F: the same under independent, homoskedastic errors.
    stock_yogo
        Critical values for this number of instruments and endogenous regressors (see `critical_values`).
    j, j_p, j_degrees, j_name
        Hansen's J (Sargan's statistic with classical errors): null that the instruments are valid; 0 if just
        identified.
    anderson_rubin
        Test and confidence set that hold with weak instruments; ``.intervals`` may be unbounded or disjoint.
    effective_f
        Montiel Olea and Pflueger's effective F with its critical values; None with several endogenous regressors.
    liml, liml_kappa
        The same equation by limited information maximum likelihood, which weak instruments bias less: a table like
        ``.table``, under the same conventions, and its kappa (1 if just identified, where it equals two-stage least
        squares).
    """

    first_stage: dict[str, FirstStage]
    kp_rk_lm: float
    kp_rk_lm_p: float
    kp_rk_wald_f: float
    cragg_donald_f: float
    stock_yogo: pd.DataFrame
    j: float
    j_p: float
    j_degrees: int
    j_name: str
    anderson_rubin: AndersonRubin
    effective_f: EffectiveF | None
    liml: pd.DataFrame
    liml_kappa: float

    def summary(self) -> str:
        """Estimate and diagnostics as text."""
        critical = ", ".join(f"{label} {value:g}" for label, value in self.stock_yogo["critical_value"].items())
        return "\n".join(
            [
                super().summary(),
                f"Kleibergen-Paap rk LM {self.kp_rk_lm:.4f} (p = {self.kp_rk_lm_p:.4g}), "
                f"rk Wald F {self.kp_rk_wald_f:.4f}, Cragg-Donald F {self.cragg_donald_f:.4f}",
                self._strength(),
                f"Stock-Yogo: {critical or 'not tabulated for this number of instruments and endogenous regressors'}",
                f"{self.j_name} {self.j:.4f} (p = {self.j_p:.4g}, {self.j_degrees} degrees of freedom)",
                f"Anderson-Rubin chi2 {self.anderson_rubin.chi2:.4f} (p = {self.anderson_rubin.chi2_p:.4g}); "
                f"{self.anderson_rubin.level:.0%} set: {self.anderson_rubin.describe()}",
                f"LIML (kappa {self.liml_kappa:.6g}):",
                self.liml.to_string(float_format=lambda value: f"{value:.6g}"),
            ]
        )

    def _strength(self) -> str:
        if self.effective_f is None:
            return "Effective F: made for one endogenous regressor"
        critical = ", ".join(f"{share:.0%} {value:.2f}" for share, value in self.effective_f.critical.items())
        return f"Effective F {self.effective_f.f:.4f}; critical values by tolerated bias: {critical}"


@dataclass(frozen=True)
class _Arrays:
    """y (n,), endogenous (n, k), controls (n, c), instruments (n, m): effects swept out, identified columns only."""

    y: np.ndarray
    endogenous: np.ndarray
    controls: np.ndarray
    instruments: np.ndarray
    names: dict[str, list[str]]
    not_identified: dict[str, str]
    absorbed_controls: list[str]


def two_stage(
    data: pd.DataFrame,
    y: str,
    endogenous: str | Sequence[str],
    instruments: str | Sequence[str],
    controls: Sequence[str] = (),
    *,
    unit: str,
    time: str,
    fixed_effects: str | Sequence[str] = ("unit", "time"),
    cluster: str | Sequence[str] | None = "unit",
    covariance: str = "robust",
    small: bool = False,
) -> TwoStage:
    """Regress ``y`` on endogenous regressors with instruments, controls and absorbed effects.

    Conventions are those of ivreg2 and xtivreg2 (Baum, Schaffer and Stillman 2007; Schaffer 2010). Effects are
    partialled out exactly, singletons dropped. Without ``small``: no factor on the clustered variance, n / (n -
    absorbed) on the others, and the normal distribution. With it: (n - 1) / (n - k) times G / (G - 1) under clusters, n
    / (n - k) otherwise, and t. Effects nested in a cluster never count in k nor in the Kleibergen-Paap F; the
    Cragg-Donald F, made for independent errors, counts them all.

    Parameters
    ----------
    data
        Long panel, one row a unit and time; may be unbalanced; never changed.
    y, endogenous, instruments, controls
        Columns, by any name; at least as many instruments as endogenous regressors.
    fixed_effects, cluster
        "unit", "time" or any column, one or several (clusters: one or two); ``()`` or None for none.
    covariance
        Without clusters: "robust" (ivreg2's ``robust``; the default, because Kleibergen-Paap statistics are robust
        ones) or "classical", where they become Anderson's and Cragg and Donald's.
    small
        Small-sample factors and t; the diagnostics do not change, except the critical value of the Anderson-Rubin set.

    Returns
    -------
    TwoStage
        Rows of ``.table``: endogenous, controls, and ``const`` where there are no fixed effects.

    Raises
    ------
    ValueError
        Absent or non-numeric columns, repeated unit-time pairs, a column in two roles, fewer usable instruments than
        endogenous regressors, an endogenous regressor that effects and controls absorb.
    """
    if covariance not in ("classical", "robust"):
        raise ValueError(f"covariance is 'classical' or 'robust', not {covariance!r}.")
    roles = {
        "outcome": [y],
        "endogenous": [endogenous] if isinstance(endogenous, str) else list(endogenous),
        "instruments": [instruments] if isinstance(instruments, str) else list(instruments),
        "controls": list(dict.fromkeys(controls)),
    }
    _check_roles(roles)
    columns = [*roles["controls"], *roles["endogenous"], *roles["instruments"]]
    design = design_matrix(data, y, columns, unit=unit, time=time, fixed_effects=fixed_effects, cluster=cluster)
    arrays = _arrays(design, y, roles)
    setting = _setting(design, arrays, effect_columns(fixed_effects, unit=unit, time=time), covariance)
    return _estimate(design, arrays, setting, small)


def _check_roles(roles: dict[str, list[str]]) -> None:
    seen: dict[str, str] = {}
    for role, names in roles.items():
        if not names and role != "controls":
            raise ValueError(f"Two-stage least squares needs at least one column under {role}.")
        for name in names:
            if name in seen:
                raise ValueError(
                    f"Column {name!r} is named under {seen[name]} and again under {role}; give it one role."
                )
            seen[name] = role


def _arrays(design: Design, y: str, roles: dict[str, list[str]]) -> _Arrays:
    """Residualise every column and keep the controls, then the endogenous and the instruments, that are identified."""
    controls = roles["controls"] + (["const"] if isinstance(design.effects, NoEffects) else [])
    # A constant first, so that a control which does not vary is the one set aside.
    ordered = controls[-1:] + controls[:-1] if controls[-1:] == ["const"] else controls
    missing: dict[str, str] = {}

    def residual(names: list[str]) -> tuple[np.ndarray, np.ndarray]:
        raw = design.data[names].to_numpy(dtype=float).reshape(len(design.data), len(names))
        return design.effects.residualise(raw), lengths(raw)

    def keep(names: list[str], base: list[str], role: str) -> list[str]:
        left, norms = residual([*base, *names])
        known = identified(left, norms)[len(base) :]
        others = " and the fixed effects" if not isinstance(design.effects, NoEffects) else ""
        for name, is_known in zip(names, known, strict=True):
            if not is_known:
                missing[name] = f"{role} {name!r} is a combination of the columns before it{others}."
        return [name for name, is_known in zip(names, known, strict=True) if is_known]

    kept = keep(ordered, [], "Control")
    names = {
        "endogenous": keep(roles["endogenous"], kept, "Endogenous regressor"),
        "instruments": keep(roles["instruments"], kept, "Instrument"),
        "controls": [name for name in controls if name in kept],
    }
    absent = [name for name in roles["endogenous"] if name not in names["endogenous"]]
    if absent:
        raise CannotEstimate(f"{missing[absent[0]]} Its effect cannot be estimated in these {len(design.data)} rows.")
    if len(names["instruments"]) < len(names["endogenous"]):
        lost = " ".join(missing[name] for name in roles["instruments"] if name in missing)
        raise CannotEstimate(
            f"{len(names['endogenous'])} endogenous regressors need as many instruments; "
            f"{len(names['instruments'])} can be used. {lost}".strip()
        )
    parts = {role: residual(columns)[0] for role, columns in names.items()}
    return _Arrays(
        y=design.effects.residualise(design.data[y].to_numpy(dtype=float)),
        endogenous=parts["endogenous"],
        controls=parts["controls"],
        instruments=parts["instruments"],
        names=names,
        not_identified=missing,
        absorbed_controls=[name for name in controls if name not in kept],
    )


def _setting(design: Design, arrays: _Arrays, effects: Sequence[str], covariance: str) -> Setting:
    n = len(design.data)
    codes = [codes_of(design.data[column]) for column in effects]
    total = design.effects.rank
    nested = [code for code in codes if any(is_nested(code, group) for group in design.clusters)]
    within_clusters = dummies_rank(nested) if nested else 0
    dofminus = within_clusters if design.clusters else total
    return Setting(
        covariance="clustered" if design.clusters else covariance,
        clusters=design.clusters,
        n=n,
        exogenous=arrays.controls.shape[1],
        dofminus=dofminus,
        sdofminus=total - dofminus,
    )


def _estimate(design: Design, arrays: _Arrays, setting: Setting, small: bool) -> TwoStage:
    names = arrays.names
    exogenous = np.hstack([arrays.controls, arrays.instruments])
    if setting.n <= exogenous.shape[1] + setting.dofminus + setting.sdofminus:
        raise CannotEstimate(
            f"{setting.n} rows are too few for {exogenous.shape[1]} controls and instruments and the fixed effects."
        )
    fitted = arrays.endogenous - _partial(exogenous, arrays.endogenous)
    regressors = np.hstack([arrays.endogenous, arrays.controls])
    fit = _least_squares(
        design,
        names["endogenous"] + names["controls"],
        arrays.y,
        design.raw_y,
        regressors,
        np.hstack([fitted, arrays.controls]),
        setting,
        small,
    )
    fit["table"] = fit["table"].reindex(
        pd.Index(
            sorted([*fit["table"].index, *arrays.absorbed_controls], key=lambda name: name == "const"), name="term"
        )
    )
    # Controls out of everything: the diagnostics depend on nothing else (Frisch and Waugh 1933).
    y, x, z = (_partial(arrays.controls, block) for block in (arrays.y, arrays.endogenous, arrays.instruments))
    rank = rank_tests(x, z, setting)
    kappa, maximum = _maximum_likelihood(arrays, setting, small)
    validity = overidentification(y, x, z, fit.pop("residual"), setting)
    centre, scale = fit["table"].iloc[0][["estimate", "se"]]
    return TwoStage(
        **fit,
        not_identified=arrays.not_identified,
        notes=(*design.notes, *_notes(setting, z.shape[1])),
        first_stage={name: _first_stage(design, arrays, setting, j, z) for j, name in enumerate(names["endogenous"])},
        kp_rk_lm=rank.rk_lm,
        kp_rk_lm_p=rank.rk_lm_p,
        kp_rk_wald_f=rank.rk_wald_f,
        cragg_donald_f=rank.cragg_donald_f,
        stock_yogo=critical_values(z.shape[1], x.shape[1]),
        j=validity.statistic,
        j_p=validity.p,
        j_degrees=validity.degrees,
        j_name=validity.name,
        effective_f=effective_f(x, z, setting),
        liml=maximum,
        liml_kappa=kappa,
        anderson_rubin=anderson_rubin(y, x, z, setting, around=(centre, scale or 1.0), small=small),
    )


def _partial(basis: np.ndarray, values: np.ndarray) -> np.ndarray:
    """What the columns of ``basis`` (n, k) leave of ``values`` (n,) or (n, m)."""
    q = np.linalg.qr(basis / np.linalg.norm(basis, axis=0))[0]
    return values - q @ (q.T @ values)


def _notes(setting: Setting, instruments: int) -> list[str]:
    if setting.smallest is None or setting.smallest > instruments:
        return []
    return [
        f"{setting.smallest} clusters cannot carry {instruments} instruments: statistics that invert their clustered "
        "covariance are missing."
    ]


def _least_squares(
    design: Design,
    names: list[str],
    y: np.ndarray,
    raw_y: np.ndarray,
    regressors: np.ndarray,
    fitted: np.ndarray,
    setting: Setting,
    small: bool,
) -> dict[str, Any]:
    """The fields of `Estimate` for y on regressors (n, k), projected as ``fitted`` (themselves in a first stage)."""
    factor, freedom = _factor(setting, regressors.shape[1], small)
    beta, variance = _two_stage(y, regressors, fitted, setting)
    variance = factor * variance
    residual = y - regressors @ beta
    means = design.data[names].to_numpy(dtype=float).mean(axis=0)
    slopes = [j for j, name in enumerate(names) if name != "const"]
    left, total = float(residual @ residual), float(((raw_y - raw_y.mean()) ** 2).sum())
    within = total if isinstance(design.effects, NoEffects) else float(y @ y)
    return {
        "table": inference_table(names, beta, variance, freedom),
        "n": setting.n,
        "clusters": setting.smallest,
        "r2": 1 - left / total if total > 0 else np.nan,
        "r2_within": 1 - left / within if within > 1e-12 * max(total, 1e-300) else np.nan,
        "degrees_of_freedom": freedom,
        "constant": float(raw_y.mean() - means[slopes] @ beta[slopes]),
        "covariance": pd.DataFrame(variance, index=names, columns=names),
        "residual": residual,
    }


def _two_stage(
    y: np.ndarray, regressors: np.ndarray, fitted: np.ndarray, setting: Setting
) -> tuple[np.ndarray, np.ndarray]:
    """Coefficients (k,) and their covariance (k, k) without small-sample factors, by linearmodels.

    The fitted regressors are the instruments, just as many (the estimates are those of all instruments), and both are
    given in an orthonormal basis of them, so that neither units nor correlation cost digits.
    """
    from linearmodels.iv import IV2SLS

    scale = np.linalg.norm(fitted, axis=0)
    q, r = np.linalg.qr(fitted / scale)
    back = linalg.solve_triangular(r, np.eye(len(scale))) / scale[:, None]
    options: dict[str, Any] = {"cov_type": "unadjusted" if setting.covariance == "classical" else "robust"}
    if setting.clusters:
        options = {"cov_type": "clustered", "clusters": np.column_stack(setting.clusters)}
    model = IV2SLS(y, q, None, None) if fitted is regressors else IV2SLS(y, None, regressors @ back, q)
    result = model.fit(debiased=False, **options)
    return back @ result.params.to_numpy(), back @ result.cov.to_numpy() @ back.T


def _maximum_likelihood(arrays: _Arrays, setting: Setting, small: bool) -> tuple[float, pd.DataFrame]:
    """kappa and the table of limited information maximum likelihood, by linearmodels.

    Columns are given at unit length, so that units cost no digits; the variance is that of ivreg2's ``liml``, the
    sandwich around k-class fitted regressors.
    """
    from linearmodels.iv import IVLIML

    blocks = (arrays.controls, arrays.endogenous, arrays.instruments)
    lengths_ = [np.linalg.norm(block, axis=0) for block in blocks]
    controls, endogenous, instruments = (block / size for block, size in zip(blocks, lengths_, strict=True))
    options: dict[str, Any] = {"cov_type": "unadjusted" if setting.covariance == "classical" else "robust"}
    if setting.clusters:
        options = {"cov_type": "clustered", "clusters": np.column_stack(setting.clusters)}
    exogenous = controls if controls.shape[1] else None
    result = IVLIML(arrays.y, exogenous, endogenous, instruments).fit(debiased=False, **options)
    count = controls.shape[1]
    order = [*range(count, count + endogenous.shape[1]), *range(count)]
    size = np.concatenate([lengths_[1], lengths_[0]])
    factor, freedom = _factor(setting, len(order), small)
    beta = result.params.to_numpy()[order] / size
    variance = factor * result.cov.to_numpy()[np.ix_(order, order)] / np.outer(size, size)
    names = [*arrays.names["endogenous"], *arrays.names["controls"]]
    kappa = 1.0 if result.kappa is None else float(result.kappa)
    return kappa, inference_table(names, beta, variance, freedom)


def _factor(setting: Setting, terms: int, small: bool) -> tuple[float, float]:
    """What a covariance with n in its denominator is multiplied by, and the degrees of freedom of t or normal."""
    n = setting.n
    left = n - terms - setting.sdofminus
    groups = setting.smallest
    if groups is not None:
        if groups < 2:
            raise CannotEstimate("A clustered variance needs at least two clusters.")
        factor = (n - 1) / left * groups / (groups - 1) if small else 1.0
        freedom = float(groups - 1)
    else:
        left -= setting.dofminus
        factor = n / left if small else n / (n - setting.dofminus)
        freedom = float(left)
    return factor, freedom if small else float("inf")


def _first_stage(design: Design, arrays: _Arrays, setting: Setting, j: int, z: np.ndarray) -> FirstStage:
    """The j-th endogenous regressor on instruments and controls; z (n, m): instruments less the controls."""
    names = arrays.names["instruments"] + arrays.names["controls"]
    regressors = np.hstack([arrays.instruments, arrays.controls])
    target = arrays.endogenous[:, j]
    raw = design.data[arrays.names["endogenous"][j]].to_numpy(dtype=float)
    fit = _least_squares(design, names, target, raw, regressors, regressors, setting, small=True)
    residual = fit.pop("residual")
    basis = np.linalg.qr(z)[0]
    partialled = _partial(arrays.controls, target)
    wald = quadratic_form(basis.T @ partialled, setting.score_covariance(basis, residual))
    instruments = z.shape[1]
    f = setting.as_f(wald, instruments)
    return FirstStage(
        **fit,
        f=f,
        f_p=float(stats.f.sf(f, instruments, setting.freedom(instruments))),
        partial_r2=1 - float(residual @ residual) / float(partialled @ partialled),
    )
