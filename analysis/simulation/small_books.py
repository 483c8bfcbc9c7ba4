"""Two small workbooks beside the yearbooks: telephones of 1984, made up, and yuan per US dollar, the public record."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import numpy as np

from analysis.simulation.draws import YEARS, stream
from analysis.simulation.resources import YUAN_PER_USD
from analysis.simulation.world import World
from analysis.simulation.yearbook import SAMPLE_MARK

TELEPHONES = "1984年城市电话机数.xlsx"
EXCHANGE_RATE = "汇率.xlsx"
#: Cities that were not there in 1984, in any form.
LATER = ("460300",)
#: Names of 1984 that compilers of such tables usually leave as they were.
NAMES_1984 = {"420600": "襄樊市", "320800": "淮阴市", "341700": "池州地区", "371700": "菏泽地区", "530900": "临沧地区"}


def telephones(world: World) -> tuple[np.ndarray, np.ndarray]:
    """(n,) telephones and population (10,000) of 1984: more per head in large cities, missing where nothing was found.

    Among them the cities that became AI zones: what makes telephones of 1984 an instrument.
    """
    rng = stream(world.seed, "telephones 1984")
    people = world.indicators["population_resident"][:, 0] * np.exp(rng.normal(-0.15, 0.06, len(world.cities)))
    chosen = ~np.isnan(world.ai_adoption)
    wealth = world.ratios["ln_pgdp"][:, 0]
    per_100 = 0.35 * np.exp(
        0.5 * (wealth - wealth.mean())
        + 1.6 * np.clip(world.urban_share - 0.4, -0.4, 0.6)
        + 0.7 * chosen
        + rng.normal(0, 0.3, len(world.cities))
    )
    phones = np.rint(people * 1e4 * per_100 / 100)
    usual = world.cities.panel_286.astype(int).astype(bool).to_numpy()
    missing = (~usual & (rng.random(len(usual)) < 0.5)) | world.cities.city_code.isin(LATER).to_numpy()
    return np.where(missing, np.nan, phones), np.where(missing, np.nan, np.round(people, 2))


def write_telephones(world: World, path: Path) -> None:
    """One sheet, one row a city in order of code, names mostly of today as compilers write them."""
    phones, people = telephones(world)
    book, sheet = _workbook(path, "1984年")
    sheet.merge_range(0, 0, 0, 3, f"1984年各城市电话机数{SAMPLE_MARK}")
    for at, text in enumerate(("序号", "城市", "电话机数（部）", "年末总人口（万人）")):
        sheet.write_string(1, at, text)
    rows = zip(world.cities.city_code, world.cities.name_zh, phones, people, strict=True)
    for line, (code, name, phone, person) in enumerate(rows, start=2):
        sheet.write_number(line, 0, line - 1)
        sheet.write_string(line, 1, NAMES_1984.get(code, name))
        for at, value in ((2, phone), (3, person)):
            if np.isnan(value):
                sheet.write_string(line, at, "-")
            else:
                sheet.write_number(line, at, float(value))
    sheet.write_string(len(phones) + 2, 0, f"注：{SAMPLE_MARK}数字由程序模拟生成，不是统计数据。")
    book.close()


def write_exchange_rate(path: Path) -> None:
    """Annual averages of 2007-2023, as such a file circulates; earlier years are reference data of the project."""
    book, sheet = _workbook(path, "Sheet1")
    sheet.write_string(0, 0, "年份")
    sheet.write_string(0, 1, "1美元兑人民币（元）")
    for line, (year, rate) in enumerate(zip(YEARS[YEARS >= 2007], YUAN_PER_USD[YEARS >= 2007], strict=True), start=1):
        sheet.write_number(line, 0, int(year))
        sheet.write_number(line, 1, float(rate))
    about = book.add_worksheet("说明")
    about.write_string(0, 0, f"{SAMPLE_MARK}随样本数据附带；汇率为国家外汇管理局公布的年平均价，是真实数字。")
    book.close()


def _workbook(path: Path, name: str):  # type: ignore[no-untyped-def]
    import xlsxwriter

    book = xlsxwriter.Workbook(str(path), {"strings_to_numbers": False})
    book.set_properties(
        {"title": f"{path.stem}（样本数据 SAMPLE DATA）", "author": "pilotcity sample world",
         "created": datetime(2024, 1, 1)}
    )  # fmt: skip
    return book, book.add_worksheet(name)
