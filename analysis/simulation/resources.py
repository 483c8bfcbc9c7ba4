"""What a city uses, emits and offers: land, labour, capital, energy, pollution, public money, urban life.

Everything that the AI study and the energy tables need beyond world.py's first variables, in the world without either
policy. Arrays (cities, years) in canonical units. Means and spreads of the controls are those of table 2 of the AI
study; levels of the others follow the nation's published totals, roughly.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.indices import perpetual_inventory
from analysis.simulation.draws import YEARS, Draws, lognormal, persistent, rescale

#: Mean and SD of table 2 (AI zones): fe and eco follow from the clusters study's fin and ln_pgdp.
MOMENTS = {"ur": (0.5982, 0.1381), "edu": (0.0352, 0.0174), "gov": (3.1448, 1.9739), "op": (6.9548, 2.1432)}
#: Yuan per US dollar, annual average, 2000-2023 (State Administration of Foreign Exchange).
YUAN_PER_USD = np.array(
    [8.2784, 8.2770, 8.2770, 8.2770, 8.2768, 8.1917, 7.9718, 7.6040, 6.9451, 6.8310, 6.7695, 6.4588, 6.3125, 6.1932,
     6.1428, 6.2284, 6.6423, 6.7518, 6.6174, 6.8985, 6.8976, 6.4515, 6.7261, 7.0467]
)  # fmt: skip
#: Change of the nation's GDP deflator, %, 2000-2023, about as published.
INFLATION = np.array(
    [2.0, 2.0, 0.6, 2.6, 6.9, 3.9, 3.9, 7.7, 7.8, -0.2, 6.9, 8.0, 2.3, 2.2, 1.0, 0.0, 1.4, 4.2, 3.5, 1.3, 0.6, 4.5,
     2.2, -0.6]
)  # fmt: skip
#: Year whose prices are constant prices, and first year of the capital stock.
BASE_YEAR = 2006
DEPRECIATION = 0.096


#: How much of a city's wastefulness, which has unit SD, is in its land, electricity and pollution, in logs.
WASTE = 0.33


@dataclass(frozen=True)
class Resources:
    """Indicators by canonical name, and two series that no yearbook prints: GDP deflator (2006 = 1) and capital."""

    indicators: Mapping[str, np.ndarray]
    deflator: np.ndarray
    capital: np.ndarray


def draw_resources(
    draws: Draws, indicators: Mapping[str, np.ndarray], income: np.ndarray, pilots: np.ndarray
) -> Resources:
    """Draw them for cities whose GDP, sectors, people and staff are known.

    Parameters
    ----------
    indicators
        Of world.py.
    income
        (n, t) ln GDP per head.
    pilots
        (n,) cities that become AI zones: chosen, among others, for their digital infrastructure.
    """
    growth, deflator = _growth(draws, indicators["gdp"])
    # A city wastes what it does not know how to save.
    waste = draws.latent("knowledge", city=1, drift=0.15, shock=0.1)
    investment = indicators["gdp"] * _investment_share(draws) * np.exp(0.15 * waste)
    urban = indicators["population_resident"] * _urban_share(draws, income)
    real = {name: indicators[name] / deflator for name in ("gdp", "industrial_value_added")}
    real["modern"] = (indicators["gdp_secondary"] + indicators["gdp_tertiary"]) / deflator
    found = {
        "gdp_growth": growth,
        "fixed_investment": investment,
        "population_urban": urban,
        **_energy_and_land(draws, real, urban, waste),
        **_pollution(draws, real["industrial_value_added"], waste),
        **_staff(draws, indicators),
        **_life(draws, real["modern"], income),
        **_digital(draws, indicators["population_resident"], income, pilots),
    }
    return Resources(found, deflator, capital_stock(investment, deflator))


def public_money(draws: Draws, gdp: np.ndarray, income: np.ndarray) -> dict[str, np.ndarray]:
    """Fiscal expenditure and revenue, education spending and foreign investment (10,000 US dollars)."""
    poor = -(income - income.mean(axis=0))
    fiscal = 0.19 * np.exp(draws.latent("fiscal", size=-0.08, region=-0.5, city=0.20, path=0.10))
    support = draws.latent("gov", size=-0.25, region=-0.5, city=0.35, path=0.06) + 0.9 * poor
    least = 0.9
    gov = least + lognormal(support, draws.ai_sample, MOMENTS["gov"][0] - least, MOMENTS["gov"][1])
    schools = draws.latent("education", city=0.25, drift=0.04, shock=0.03) + 0.7 * np.log(fiscal) + 0.3 * poor
    edu = np.minimum(lognormal(schools, draws.ai_sample, *MOMENTS["edu"]), 0.5 * fiscal)
    foreign = draws.latent("fdi", size=0.45, region=0.9, city=0.8, path=-0.15, drift=0.2, shock=0.10) - 0.5 * poor
    op = np.clip(rescale(foreign, draws.ai_sample, *MOMENTS["op"]), 0.12, 12.2)
    return {
        "fiscal_expenditure": gdp * fiscal,
        "fiscal_revenue": gdp * fiscal / gov,
        "education_expenditure": gdp * edu,
        "fdi": 100 * np.exp(op) / YUAN_PER_USD,
    }


def capital_stock(investment: np.ndarray, deflator: np.ndarray) -> np.ndarray:
    """Capital by perpetual inventory from 2006 at 2006 prices, (n, t), missing before; as the studies compute it."""
    n, t = investment.shape
    frame = pd.DataFrame(
        {
            "city": np.repeat(np.arange(n), t),
            "year": np.tile(YEARS, n),
            "investment": investment.reshape(-1),
            "deflator": deflator.reshape(-1),
        }
    )
    stock = perpetual_inventory(
        frame, "investment", unit="city", time="year", deflator="deflator", depreciation=DEPRECIATION, start=BASE_YEAR
    )
    return stock.to_numpy().reshape(n, t)


def _growth(draws: Draws, gdp: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Real growth (%) and the deflator (2006 = 1) that it implies together with GDP at current prices."""
    prices = np.log1p(INFLATION / 100) + 0.006 * persistent(draws.stream("deflator"), draws.shape, 0.3)
    nominal = np.diff(np.log(gdp), axis=1)
    nominal = np.concatenate([nominal[:, :1], nominal], axis=1)
    growth = np.round(100 * np.expm1(nominal - prices), 2)
    volume = np.cumsum(np.log1p(growth / 100), axis=1)
    deflator = gdp / np.exp(volume)
    return growth, deflator / deflator[:, [int(np.flatnonzero(YEARS == BASE_YEAR)[0])]]


def _path(years: list[int], values: list[float]) -> np.ndarray:
    """(t,) values at some years, straight lines between."""
    return np.interp(YEARS, years, values)


def _investment_share(draws: Draws) -> np.ndarray:
    """Fixed investment / GDP."""
    share = _path([2000, 2010, 2015, 2023], [0.33, 0.60, 0.72, 0.58])
    return share * np.exp(draws.latent("fixed_investment", size=-0.08, city=0.18, drift=0.08, shock=0.06))


def _urban_share(draws: Draws, income: np.ndarray) -> np.ndarray:
    """Urban / resident population."""
    rich = income - income.mean(axis=0)
    latent = draws.latent("ur", size=0.12, city=0.10, path=0.14, drift=0.02, shock=0.006) + 0.25 * rich
    return np.clip(rescale(latent, draws.ai_sample, *MOMENTS["ur"]), 0.12, 0.995)


def _energy_and_land(
    draws: Draws, real: Mapping[str, np.ndarray], urban: np.ndarray, waste: np.ndarray
) -> dict[str, np.ndarray]:
    """Built-up area (km2), electricity (10,000 kWh), energy (tce): less per unit of activity in larger cities.

    ``waste`` raises every input and pollutant of a city at once, so that a few cities are efficient and most are not.
    """
    land = 0.8 * np.log(urban) + draws.latent("built_up_area", city=0.12, drift=0.03, shock=0.04) + WASTE * waste
    power = 0.88 * np.log(real["modern"]) + draws.latent("electricity", city=0.20, drift=0.03, shock=0.04)
    energy = 0.93 * np.log(real["gdp"]) + draws.latent("energy_use", city=0.20, drift=0.03, shock=0.04) + 0.17 * waste
    intensity = _path([2000, 2006, 2023], [1.75, 1.70, 1.05])
    return {
        "built_up_area": 2.0 * np.exp(land),
        "electricity": np.exp(power + WASTE * waste),
        "energy_use": np.exp(energy + intensity),
    }


def _pollution(draws: Draws, industry: np.ndarray, waste: np.ndarray) -> dict[str, np.ndarray]:
    """Industrial SO2, soot and wastewater (tonnes), falling per unit of industry as the nation's did."""
    fall = {
        "so2_industrial": (0.45, 1.0, _path([2000, 2006, 2013, 2016, 2020, 2023], [0.4, 0, -0.8, -1.9, -3.2, -3.6])),
        "soot_industrial": (0.45, 0.4, _path([2000, 2006, 2013, 2020, 2023], [0.5, 0, -0.5, -1.5, -2.0])),
        "wastewater_industrial": (0.40, 1100.0, _path([2000, 2006, 2015, 2023], [0.3, 0, -0.7, -1.1])),
    }
    return {
        name: level
        * np.exp(0.75 * np.log(industry) + draws.latent(name, city=city, drift=0.03, shock=0.04) + WASTE * waste + path)
        for name, (city, level, path) in fall.items()
    }


def _staff(draws: Draws, indicators: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Employees of the second and third sectors, and those with a degree: whole persons, together below all staff."""
    staff, gdp = indicators["employees"], indicators["gdp"]
    tilt = draws.latent("employees_secondary", city=0.05, drift=0.02, shock=0.01)
    secondary = np.clip(0.15 + 0.65 * indicators["gdp_secondary"] / gdp + tilt, 0.08, 0.85)
    primary = 0.012 * np.exp(draws.latent("employees_primary", size=-0.3, city=0.5))
    learned = draws.latent("degree_holders", size=0.15, city=0.2, path=0.3, drift=0.04, shock=0.02)
    return {
        "employees_secondary": np.floor(staff * secondary * (1 - primary)),
        "employees_tertiary": np.floor(staff * (1 - secondary) * (1 - primary)),
        "degree_holders": np.rint(staff * np.minimum(0.22 * np.exp(learned), 0.8)),
    }


def _life(draws: Draws, modern: np.ndarray, income: np.ndarray) -> dict[str, np.ndarray]:
    """Income of urban residents (yuan) and park green area per person (m2)."""
    large = 0.1 * (np.log(modern) - np.log(modern.mean(axis=0)))
    usual = _path([2000, 2006, 2010, 2015, 2019, 2023], np.log([6280, 11760, 19109, 31195, 42359, 51821]).tolist())
    rich = 0.35 * (income - income.mean(axis=0))
    pay = usual - 0.1 + rich + large + draws.latent("resident_income", city=0.05, drift=0.02, shock=0.008)
    green = _path([2000, 2005, 2010, 2015, 2023], np.log([4.6, 7.9, 11.2, 13.4, 15.7]).tolist())
    green = green + large + draws.latent("park_green", city=0.18, drift=0.03, shock=0.03)
    return {"resident_income": np.rint(np.exp(pay)), "park_green_area_per_person": np.exp(green)}


def _digital(draws: Draws, people: np.ndarray, income: np.ndarray, pilots: np.ndarray) -> dict[str, np.ndarray]:
    """Internet and mobile subscribers (whole numbers) and telecommunications revenue (10,000 yuan)."""
    rich = 0.4 * (income - income.mean(axis=0)) + 0.35 * pilots[:, None]
    users = _path([2000, 2005, 2010, 2015, 2023], np.log([0.01, 0.03, 0.10, 0.21, 0.45]).tolist())
    mobiles = _path([2000, 2005, 2010, 2015, 2023], np.log([0.07, 0.30, 0.64, 0.93, 1.22]).tolist())
    revenue = _path([2000, 2005, 2010, 2015, 2023], np.log([240, 440, 650, 800, 1150]).tolist())
    users = users + rich + draws.latent("internet_users", size=0.12, city=0.2, drift=0.05, shock=0.03)
    mobiles = mobiles + 0.7 * rich + draws.latent("mobile_users", size=0.08, city=0.1, drift=0.03, shock=0.02)
    revenue = revenue + rich + draws.latent("telecom_revenue", size=0.12, city=0.15, drift=0.05, shock=0.03)
    return {
        "internet_users": np.rint(people * 1e4 * np.exp(users)),
        "mobile_users": np.rint(people * 1e4 * np.exp(mobiles)),
        "telecom_revenue": people * np.exp(revenue),
    }
