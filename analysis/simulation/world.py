"""The data-generating process: every city's levels, ratios and patent counts, with and without the policy.

Arrays only, shape (cities, years), in canonical units; no file formats and no faults. Each variable draws from its own
stream, so a variable added later changes none of the earlier ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy import optimize, stats

from analysis.simulation import policy
from analysis.simulation.draws import AI_YEARS, STUDY_YEARS, YEARS, Draws, lognormal, persistent, rescale, stream
from analysis.simulation.resources import YUAN_PER_USD, Resources, draw_resources, public_money
from analysis.simulation.scores import measures

CONTROLS = policy.CLUSTER_CONTROLS
MECHANISMS = ("eship", "techhum", "fintech")

#: Mean and SD of table 3 (innovative clusters) that the ratios are drawn towards. Industry's SD is smaller than the
#: printed 0.1634, which goes with a printed maximum of 2.8487: here it is a true share. Techhum's printed SD of 4.66
#: and maximum of 89.68 cannot be those of a percentage with mean 1.10.
MOMENTS = {
    "fin": (2.3248, 1.1649),
    "open": (0.1937, 0.3399),
    "eship": (1.1014, 1.1232),
    "techhum": (1.1012, 0.9),
    "fintech": (0.0150, 0.0155),
}
LN_PGDP = (10.4804, 0.6999)
#: Where income stops: the printed maxima of ln_pgdp until 2021 and 2023 are 12.29 and 12.49.
RICHEST = 12.45
#: Growth of the nation's GDP per head at current prices, in logs, 2000-2023, about as published.
GROWTH = np.array(
    [0.10, 0.095, 0.09, 0.115, 0.157, 0.14, 0.153, 0.202, 0.162, 0.083, 0.161, 0.163, 0.094, 0.09, 0.076, 0.063, 0.074,
     0.103, 0.094, 0.067, 0.026, 0.127, 0.047, 0.046]
)  # fmt: skip
INDUSTRY = (0.3771, 0.13)


@dataclass(frozen=True)
class Outcome:
    """How one outcome is made: moments of table 3, the estimand of table 4, and the additive parts (thousands)."""

    mean: float
    sd: float
    effect: float
    growth: float
    slopes: Mapping[str, float]


OUTCOMES = {
    "gti1": Outcome(0.2364, 0.9408, 0.5315, 0.05, {"fin": 0.02, "open": 0.05, "industry": -0.10, "ln_pgdp": 0.08}),
    "gti2": Outcome(0.2625, 0.7778, 0.5256, 0.08, {"fin": 0.015, "open": 0.05, "industry": 0.05, "ln_pgdp": 0.08}),
}


@dataclass(frozen=True)
class World:
    """One draw of the world, in the borders of 2021.

    Attributes
    ----------
    cities
        (n rows) ``city_code`` (text), ``name_zh``, ``province_zh``, ``region``, ``level``, ``panel_286``,
        ``panel_281``, ``sample`` (in the clusters study).
    adoption, ai_adoption
        (n,) first treated year of each policy, nan for never.
    indicators
        Canonical name -> (n, t) in the canonical unit; inner-city shares of them in ``urban_share`` (n,).
    twins
        Policy (clusters, ai) -> the indicators that it moves, as they would be without it.
    ratios
        fin, open, industry, ln_pgdp, ais, lndensity, eship, techhum, fintech (clusters study) and eco, fe, ur, edu,
        gov, op (AI study) -> (n, t), exactly what the indicators imply.
    without_policy, effects
        Patent outcome -> (n, t) integers: applications in the twin world, and what the policy adds.
    outcomes
        Other outcome -> (n, t) without its policy and as observed: eship, techhum, fintech, eff; with AI zones also
        ulgue and lso. Scores are missing outside their study's cities and years.
    spilled
        Outcome -> (n, t) the part of its change that comes from neighbours' policies; empty in the base world.
    deflator, capital
        (n, t) GDP deflator (2006 = 1), and capital at 2006 prices, missing before 2006.
    """

    cities: pd.DataFrame
    years: np.ndarray
    adoption: np.ndarray
    ai_adoption: np.ndarray
    indicators: Mapping[str, np.ndarray]
    twins: Mapping[str, Mapping[str, np.ndarray]]
    urban_share: np.ndarray
    ratios: Mapping[str, np.ndarray]
    without_policy: Mapping[str, np.ndarray]
    effects: Mapping[str, np.ndarray]
    outcomes: Mapping[str, tuple[np.ndarray, np.ndarray]]
    spilled: Mapping[str, np.ndarray]
    deflator: np.ndarray
    capital: np.ndarray
    seed: int

    @property
    def treated(self) -> np.ndarray:
        """(n, t) whether the clusters policy is on."""
        return _since(self.adoption)

    @property
    def ai_treated(self) -> np.ndarray:
        """(n, t) whether a city is an AI zone."""
        return _since(self.ai_adoption)

    def applications(self, outcome: str) -> np.ndarray:
        """(n, t) integer counts as observed."""
        return self.without_policy[outcome] + self.effects[outcome]

    def long(self, columns: Mapping[str, np.ndarray], adoption: np.ndarray | None = None) -> pd.DataFrame:
        """Arrays (n, t) as one row a city and year, with ``city_code``, ``year`` and ``adoption`` before them."""
        n, t = len(self.cities), len(self.years)
        first = self.adoption if adoption is None else adoption
        keys = {
            "city_code": np.repeat(self.cities.city_code.to_numpy(), t),
            "year": np.tile(self.years, n).astype(np.int64),
            "adoption": pd.array(np.repeat(first, t), dtype="Float64").astype("Int64"),
        }
        return pd.DataFrame(keys | {name: values.reshape(-1) for name, values in columns.items()})

    def panel(self) -> pd.DataFrame:
        """The clusters study's sample and years: keys, ``adoption``, ``did``, outcomes, ratios."""
        outcomes = {name: self.applications(name) / 1000 for name in self.without_policy}
        ratios = {name: self.ratios[name] for name in (*CONTROLS, *MECHANISMS, "ais", "lndensity")}
        frame = self.long({"did": self.treated.astype(float), **outcomes, **ratios, "eff": self.outcomes["eff"][1]})
        keep = np.repeat(self.cities["sample"].to_numpy(), len(self.years)) & frame.year.between(*STUDY_YEARS)
        return frame[keep].reset_index(drop=True)

    def ai_panel(self) -> pd.DataFrame:
        """The AI study's sample and years: keys, ``adoption``, ``ai``, outcomes, controls; not winsorised."""
        outcomes = {name: self.outcomes[name][1] for name in ("ulgue", "lso") if name in self.outcomes}
        controls = {name: self.ratios[name] for name in policy.AI_CONTROLS}
        frame = self.long({"ai": self.ai_treated.astype(float), **outcomes, **controls}, self.ai_adoption)
        usual = self.cities.panel_286.astype(int).astype(bool).to_numpy()
        keep = np.repeat(usual, len(self.years)) & frame.year.between(*AI_YEARS)
        return frame[keep].reset_index(drop=True)


def _since(adoption: np.ndarray) -> np.ndarray:
    """(n, t) whether a year is a city's first treated year or later."""
    return YEARS[None, :] >= np.where(np.isnan(adoption), 9999, adoption)[:, None]


def draw_world(
    cities: pd.DataFrame,
    clusters: pd.DataFrame,
    seed: int = 0,
    ai_zones: pd.DataFrame | None = None,
    spillover: float = 0.0,
) -> World:
    """Draw the world for ``cities`` (data/reference/cities.csv) and adoption years (data/policies).

    Without ``ai_zones`` that policy does not exist and nothing is known of its outcomes. With ``spillover`` a city
    whose neighbours (queen contiguity among the 286) are all AI zones saves that share of what they save.

    Raises
    ------
    ValueError
        Absent columns, repeated codes, no city of the study's sample, or none of a policy list.
    """
    place = _cities(cities)
    adoption = _adoption(place, clusters)
    ai_adoption = np.full(len(place), np.nan) if ai_zones is None else _adoption(place, ai_zones)
    draw = _Draws(place, adoption, ai_adoption, seed, spillover)
    ratios = draw.controls()
    indicators, mechanisms = draw.indicators(ratios)
    resources = draw.resources(indicators, ratios)
    everything = indicators | dict(resources.indicators)
    ratios |= draw.implied(everything)
    saved, twins, outcomes, spilled = draw.policies(everything, ratios, resources)
    without_policy, effects = draw.patents(ratios)
    return World(
        cities=place,
        years=YEARS,
        adoption=adoption,
        ai_adoption=ai_adoption,
        indicators=everything | saved,
        twins={**twins, "clusters": {**twins["clusters"], **mechanisms}},
        urban_share=draw.urban_share(everything["population_resident"]),
        ratios=ratios,
        without_policy=without_policy,
        effects=effects,
        outcomes={**outcomes, **_changes(everything, mechanisms)},
        spilled=spilled,
        deflator=resources.deflator,
        capital=resources.capital,
        seed=seed,
    )


def _changes(
    indicators: dict[str, np.ndarray], without: dict[str, np.ndarray]
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """The mechanisms without the clusters policy and as observed."""
    before, after = _mechanism_ratios(indicators | without), _mechanism_ratios(indicators)
    return {name: (before[name], after[name]) for name in MECHANISMS}


def _cities(cities: pd.DataFrame) -> pd.DataFrame:
    wanted = ["city_code", "name_zh", "province_zh", "region", "level", "panel_286", "panel_281"]
    absent = [column for column in wanted if column not in cities.columns]
    if absent:
        raise ValueError(f"The list of cities has no column {', '.join(map(repr, absent))}.")
    place = cities[wanted].assign(city_code=cities.city_code.astype(str)).sort_values("city_code", ignore_index=True)
    _once(place.city_code, "list of cities")
    place["sample"] = place.panel_281.astype(int).astype(bool)
    return place


def _adoption(place: pd.DataFrame, pilots: pd.DataFrame) -> np.ndarray:
    """(n,) first treated year of each city, nan for never."""
    codes = pilots.city_code.astype(str)
    _once(codes, "policy list")
    adoption = place.city_code.map(pilots.adoption.set_axis(codes)).to_numpy(dtype=float, na_value=np.nan)
    if np.isnan(adoption).all():
        raise ValueError("No city of the policy list is among the cities: both need six-digit codes in `city_code`.")
    return adoption


def _neighbours(place: pd.DataFrame) -> np.ndarray:
    """(n, n) queen contiguity among the usual sample of cities, rows summing to one; zero for other cities."""
    from analysis.spatial import contiguity, prefecture_polygons

    usual = place.panel_286.astype(int).astype(bool).to_numpy()
    weights = contiguity(prefecture_polygons(list(place.city_code[usual])))
    matrix = np.zeros((len(place), len(place)))
    matrix[np.ix_(usual, usual)] = weights.matrix.toarray()
    return matrix


def _once(codes: pd.Series, name: str) -> None:
    if codes.duplicated().any():
        raise ValueError(f"The {name} repeats code {codes[codes.duplicated()].iloc[0]}: keep one row a city.")


class _Draws(Draws):
    """All variables of one world; each method is one group of them."""

    def __init__(
        self, place: pd.DataFrame, adoption: np.ndarray, ai_adoption: np.ndarray, seed: int, spillover: float
    ) -> None:
        super().__init__(place, seed)
        self.adoption = adoption
        if not self.sample.any():
            raise ValueError("No city of the list is in the study's sample: `panel_281` is 0 throughout.")
        self.treated = _since(adoption)
        self.clusters = policy.clusters_policy(self, adoption)
        self.ai = policy.ai_policy(self, ai_adoption)
        self.reach = spillover * _neighbours(place) if spillover else None

    def controls(self) -> dict[str, np.ndarray]:
        """The controls of the clusters study, each near the moments of table 3 over its sample."""
        sample = self.sample
        fin = self.latent("fin", size=0.28, region=-0.3, city=0.30, path=0.25)
        trade = self.latent("open", size=0.55, region=1.2, city=0.75, path=-0.10, drift=0.10, shock=0.08)
        wealth = self.latent("ln_pgdp", size=0.20, region=0.45, city=0.44, drift=0.06, shock=0.03)
        industry = self.latent("industry", region=0.1, city=0.09, path=-0.04, drift=0.02, shock=0.012)
        return {
            "fin": lognormal(fin, sample, *MOMENTS["fin"]),
            "open": lognormal(trade, sample, *MOMENTS["open"]),
            "industry": np.clip(rescale(industry, sample, *INDUSTRY), 0.03, 0.75),
            "ln_pgdp": _capped(rescale(wealth + np.cumsum(GROWTH), sample, *LN_PGDP), RICHEST),
        }

    def mechanisms(self, controls: Mapping[str, np.ndarray]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """eship, techhum and fintech without the policy, and what it adds; their sums have the moments of table 3."""
        weights = self.clusters.weights(controls, self.sample)
        latent = {
            "eship": self.latent("eship", size=0.25, region=0.5, city=0.40, shock=0.08),
            "techhum": self.latent("techhum", size=0.20, city=0.35, shock=0.06),
            "fintech": self.latent("fintech", size=0.25, region=0.6, city=0.50, shock=0.10),
        }
        # The nation's path is added, not multiplied, so that large cities are on no other trend.
        path = {"eship": 0.85, "techhum": 0.2, "fintech": 0.009}
        found = {}
        for name, values in latent.items():
            common = path[name] * np.linspace(0.2, 1, len(YEARS))[None, :]
            effect = policy.additive_effect(self.clusters, name, weights)
            own = lognormal(values, self.sample, *MOMENTS[name], added=common + effect)
            found[name] = own + common, effect
        return found

    def indicators(self, ratios: dict[str, np.ndarray]) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """Levels in canonical units that imply the ratios exactly, and those that the clusters move without them.

        Persons and firms are whole numbers; the ratios of the mechanisms are added to ``ratios``.
        """
        people = self._population()
        gdp = np.exp(ratios["ln_pgdp"]) * people
        money = public_money(self, gdp, ratios["ln_pgdp"])
        share = 1 / (1 + np.exp(-0.35 - self.latent("deposits", city=0.20, path=-0.15)))
        staff = np.rint(people * 1e4 * 0.12 * np.exp(self.latent("employees", size=0.15, region=0.2, city=0.20)))
        area = 9.3 + 0.1 * stream(self.seed, "land_area").normal(size=self.shape[0]) - self.region
        area = area + 0.6 * stream(self.seed, "land_area_own").normal(size=self.shape[0])
        moved: dict[bool, dict[str, np.ndarray]] = {}
        mechanisms = self.mechanisms(ratios)
        for on in (False, True):
            level = {name: without + on * added for name, (without, added) in mechanisms.items()}
            moved[on] = {
                "employees_information": np.rint(staff * level["techhum"] / 100),
                "new_firms": np.rint(people * 100 * level["eship"]),
                "science_expenditure": money["fiscal_expenditure"] * level["fintech"],
            }
        found = {
            "gdp": gdp,
            **self._sectors(gdp, ratios),
            "population_resident": people,
            "population_registered": people * np.exp(self._registered()),
            "land_area": np.rint(np.exp(area))[:, None] * np.ones(self.shape),
            **money,
            "deposits": gdp * ratios["fin"] * share,
            "loans": gdp * ratios["fin"] * (1 - share),
            "trade": gdp * ratios["open"],
            "employees": staff,
            **moved[True],
        }
        return found, moved[False]

    def implied(self, indicators: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The other ratios, from the indicators."""
        return {
            "ais": indicators["gdp_tertiary"] / indicators["gdp_secondary"],
            "lndensity": np.log(indicators["population_resident"] * 1e4 / indicators["land_area"]),
            **_mechanism_ratios(indicators),
            "eco": np.log(indicators["gdp"] / indicators["population_resident"]),
            "fe": np.log(indicators["deposits"] + indicators["loans"]),
            "ur": indicators["population_urban"] / indicators["population_resident"],
            "edu": indicators["education_expenditure"] / indicators["gdp"],
            "gov": indicators["fiscal_expenditure"] / indicators["fiscal_revenue"],
            "op": np.log(indicators["fdi"] * YUAN_PER_USD / 100),
        }

    def resources(self, indicators: Mapping[str, np.ndarray], ratios: Mapping[str, np.ndarray]) -> Resources:
        """What the AI study and the energy tables need besides, without either policy."""
        pilots = ~np.isnan(self.ai.adoption)
        people = indicators["population_resident"]
        found = draw_resources(self, indicators, ratios["ln_pgdp"], pilots)
        district = people * self.urban_share(people)[:, None]
        return replace(found, indicators={**found.indicators, "population_urban_district": district})

    def policies(
        self, indicators: Mapping[str, np.ndarray], ratios: Mapping[str, np.ndarray], resources: Resources
    ) -> tuple[
        dict[str, np.ndarray],
        dict[str, dict[str, np.ndarray]],
        dict[str, tuple[np.ndarray, np.ndarray]],
        dict[str, np.ndarray],
    ]:
        """Indicators with the policies, the same without each, outcomes without and with it, and what spilled over."""
        values = measures(indicators, resources.deflator, resources.capital)
        energy = {name: ratios[name] for name in policy.ENERGY_CONTROLS}
        weights = self.clusters.weights(energy, self.sample)
        energy_saved = policy.saving(self.clusters, "eff", ["energy_use"], self.place, values, weights)
        twins: dict[str, dict[str, np.ndarray]] = {"clusters": {"energy_use": indicators["energy_use"]}, "ai": {}}
        saved, outcomes = energy_saved.inputs, {"eff": (energy_saved.without, energy_saved.observed)}
        if np.isnan(self.ai.adoption).all():
            return saved, twins, outcomes, {}
        weights = self.ai.weights({name: ratios[name] for name in policy.AI_CONTROLS}, self.ai_sample)
        land_saved = policy.saving(
            self.ai, "ulgue", ["built_up_area", "electricity"], self.place, values, weights, self.reach
        )
        outcomes["ulgue"] = (land_saved.without, land_saved.observed)
        spilled = {} if land_saved.spilled is None else {"ulgue": land_saved.spilled}
        holders = indicators["degree_holders"]
        more = np.rint(holders * np.exp(policy.additive_effect(self.ai, "lso", weights)))
        outcomes["lso"] = (np.log(holders), np.log(more))
        moved = land_saved.inputs | {"degree_holders": more}
        twins["ai"] = {name: indicators[name] for name in moved}
        return saved | moved, twins, outcomes, spilled

    def _registered(self) -> np.ndarray:
        """(n, t) ln of registered over resident people: large and eastern cities have drawn people from elsewhere."""
        return 0.03 + self.latent("registered", size=-0.08, region=-0.1, city=0.03, path=-0.02, drift=0.02, shock=0.003)

    def _population(self) -> np.ndarray:
        """Residents at the end of the year, in 10,000; large cities, and so pilots, are on no other trend."""
        large = self.latent("population", size=0.52, city=0.3, drift=0.03, shock=0.002)
        return np.clip(340 * np.exp(large), 0.2, 3200)

    def _sectors(self, gdp: np.ndarray, ratios: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Value added of the three sectors, which add up to GDP, and of industry, part of the second."""
        industry = ratios["industry"]
        secondary = industry + 0.065 * np.exp(self.latent("construction", city=0.2, shock=0.03))
        poor = np.exp(-0.9 * (ratios["ln_pgdp"] - LN_PGDP[0]) + self.latent("primary", city=0.3, size=-0.4, path=0.3))
        primary = np.minimum(0.12 * poor, 0.5 * (1 - secondary))
        return {
            "gdp_primary": gdp * primary,
            "gdp_secondary": gdp * secondary,
            "gdp_tertiary": gdp * (1 - primary - secondary),
            "industrial_value_added": gdp * industry,
        }

    def urban_share(self, people: np.ndarray) -> np.ndarray:
        """(n,) what part of a city's figures its urban districts hold; every AI zone has a million people there."""
        share = stats.norm.cdf(-0.5 + 0.6 * self.size + stream(self.seed, "urban_share").normal(0, 0.3, self.shape[0]))
        least = np.minimum(105 / people.min(axis=1), 0.97)
        return np.where(np.isnan(self.ai.adoption), share, np.maximum(share, least))

    def patents(self, ratios: Mapping[str, np.ndarray]) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """Green applications without the policy, and what the policy adds: integers (n, t), by outcome.

        y0_it = city effect + year effect + (what cities and years leave of the controls)'b + noise, so trends are
        parallel whatever the selection; pilot cities are drawn with larger city effects. Noise is in proportion to
        the city effect. Effects grow with time since adoption and with a city's size, and are scaled so that their
        weighted sum is the target.
        """
        weights = self.clusters.weights({name: ratios[name] for name in CONTROLS}, self.sample)
        large = (
            0.7 * self.size
            + 0.5 * ~np.isnan(self.adoption)
            + stream(self.seed, "inventive").normal(0, 0.4, len(self.size))
        )
        without_policy, effects = {}, {}
        for name, outcome in OUTCOMES.items():
            own = large + stream(self.seed, name).normal(0, 0.15, len(large))
            y0, tau = self._outcome(name, outcome, own, ratios, weights)
            without_policy[name] = np.maximum(np.rint(1000 * y0), 0).astype(np.int64)
            effects[name] = np.rint(1000 * tau).astype(np.int64)
        return without_policy, effects

    def _outcome(
        self, name: str, outcome: Outcome, own: np.ndarray, ratios: Mapping[str, np.ndarray], weights: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """y0 and tau (n, t) in thousands, with the spread of city effects that gives the outcome's mean and SD."""
        noise = np.exp(0.35 * persistent(stream(self.seed, f"{name} noise"), self.shape, 0.7) - 0.35**2 / 2)
        common = outcome.growth * np.maximum(YEARS - 2004, 0)[None, :] / 18
        common = common + sum(slope * self._within(ratios[x]) for x, slope in outcome.slopes.items())
        response = np.exp(stream(self.seed, f"{name} effect").normal(0, 0.6, len(own)))
        since = np.where(self.treated, YEARS[None, :] - np.nan_to_num(self.adoption, nan=9999)[:, None], 0)
        growing = self.treated * np.interp(since, [0, 3, 10], [0.1, 1.0, 2.633])

        def parts(spread: float) -> tuple[np.ndarray, np.ndarray]:
            level = np.exp(spread * (own - own.max()))
            tau = growing * (response * level**0.6)[:, None]
            scale = float((weights * tau).sum())
            tau = tau * (outcome.effect / scale) if scale > 0 else 0 * tau
            rest = (common + tau)[self.sample].mean()
            varying = level[:, None] * noise
            return max(outcome.mean - rest, 0.01) / varying[self.sample].mean() * varying + common, tau

        def excess(spread: float) -> float:
            y0, tau = parts(spread)
            return float((y0 + tau)[self.sample].std(ddof=1)) - outcome.sd

        low, high = 0.2, 4.0
        # A subset of cities may be too alike or too different for the published SD: then the nearest spread is used.
        if excess(low) > 0:
            return parts(low)
        return parts(optimize.brentq(excess, low, high, xtol=1e-10)) if excess(high) > 0 else parts(high)

    def _within(self, values: np.ndarray) -> np.ndarray:
        """What city and year means leave of a variable."""
        return values - values.mean(axis=1, keepdims=True) - values.mean(axis=0, keepdims=True) + values.mean()


def _mechanism_ratios(indicators: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """eship, techhum and fintech from the indicators."""
    return {
        "eship": indicators["new_firms"] / (indicators["population_resident"] * 100),
        "techhum": 100 * indicators["employees_information"] / indicators["employees"],
        "fintech": indicators["science_expenditure"] / indicators["fiscal_expenditure"],
    }


def _capped(values: np.ndarray, top: float, softness: float = 0.15) -> np.ndarray:
    """Values bent so that they stay below ``top``, in order and almost unchanged where they are far below it."""
    return top - softness * np.log1p(np.exp((top - values) / softness))
