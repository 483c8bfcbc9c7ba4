"""Random tables of known content, in random layouts, spellings and kinds of file, for tests of intake."""

from __future__ import annotations

import csv
import io
import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from dagster_project.paths import REFERENCE

MEASURES = {
    "地区生产总值": ["亿元", "万元"],
    "年末户籍人口": ["万人"],
    "财政支出": ["亿元", "万元"],
    "绿地面积": ["公顷"],
    "房价": [""],
    "gdp": [""],
    "某指数": [""],
}


NEWER = ["across", "turned", "alone", "joined", "over"]


@dataclass
class Table:
    """A written table: cells by (row, column) from 1, with city, year and number; what else is believed is wrong."""

    rows: list[list[object]]
    truth: dict[tuple[int, int], tuple[str, int, float]] = field(default_factory=dict)
    layout: str = ""

    def put(self, column: int, row: int, text: object, code: str, year: int, value: float) -> None:
        while len(self.rows) <= row:
            self.rows.append([])
        line = self.rows[row]
        line.extend([""] * (column + 1 - len(line)))
        line[column] = text
        self.truth[row + 1, column + 1] = code, year, value


def roster() -> list[Any]:
    return list(pd.read_csv(REFERENCE / "cities.csv", dtype=str, keep_default_na=False).itertuples())


def number(draw: random.Random, value: float, style: str) -> object:
    """A number as one writes it."""
    if style == "plain":
        return value
    if style == "commas":
        return f"{value:,}"
    if style == "spaces":
        return f"{value:,}".replace(",", " ")
    if style == "wide":
        return str(value).translate(str.maketrans("0123456789.", "０１２３４５６７８９．"))
    if style == "marked":
        return f"{value}{draw.choice(['①', '*', '(r)', ' ', '⑵'])}"
    return f"{value:.6E}" if value == float(f"{value:.6E}") else value


def spelled(city: Any, style: str) -> str:
    short = city.name_zh.removesuffix("市")
    province = city.province_zh
    for ending in ("维吾尔自治区", "壮族自治区", "回族自治区", "自治区", "省", "市"):
        if province.endswith(ending):
            brief = province.removesuffix(ending)
            break
    return {
        "full": city.name_zh,
        "short": short,
        "spaced": "　" + " ".join(short),
        "whole": f"{province}{city.name_zh}" if province != city.name_zh else city.name_zh,
        "behind": f"{brief}{short}" if brief != short else short,
        "dashed": f"{brief}-{short}" if brief != short else short,
        "english": city.name_en,
        "loud": city.name_en.upper(),
        "city": f"{city.name_en} City",
        "both": f"{short} {city.name_en}",
    }[style]


def table(draw: random.Random, cities: list[Any]) -> Table:
    """One table."""
    layout = draw.choice(
        ["long", "long", "wide", "rows", "down", "levels", "beside", "below", "code", "titled", *NEWER]
    )
    spellings = ["full", "full", "short", "spaced", "whole", "behind", "dashed", "english", "loud", "city", "both"]
    style = draw.choice(spellings)
    chosen = draw.sample(cities, draw.randint(3, 6))
    years = sorted(draw.sample(range(2005, 2021), draw.randint(1, 3)))
    measure = draw.choice(list(MEASURES))
    unit = draw.choice(MEASURES[measure])
    header = f"{measure}{draw.choice(['({})', '（{}）', '/{}']).format(unit)}" if unit else measure
    numbers = draw.choice(["plain", "plain", "plain", "commas", "spaces", "wide", "marked", "scientific"])
    label = draw.choice(["{}", "{}", "{}年", "{}.0", "{}/12/31"])
    place = draw.choice(["城市", "地区", "city", "城市名称"])
    made = Table([], layout=f"{layout} {style}")

    def value() -> float:
        return round(draw.uniform(10, 90000), draw.choice([0, 1, 2]))

    def put(row: int, column: int, code: str, year: int) -> None:
        if draw.random() < 0.08:
            text = draw.choice(["", "-", "…", "暂无", "N/A", "—"])
            while len(made.rows) <= row:
                made.rows.append([])
            made.rows[row].extend([""] * (column + 1 - len(made.rows[row])))
            made.rows[row][column] = text
            return
        amount = value()
        made.put(column, row, number(draw, amount, numbers), code, year, amount)

    people = [(city.city_code, spelled(city, style)) for city in chosen]
    if draw.random() < 0.3 and layout not in ("titled", "below", "turned", "alone"):
        made.rows.append([draw.choice(["表1 主要指标", "2-3 城市统计"])])
    top = len(made.rows)
    if layout in ("long", "code", "down"):
        heads = [place, "year" if place == "city" else "年份", header]
        if layout == "code":
            heads = ["代码", *heads]
        if layout == "long" and draw.random() < 0.4:
            heads.insert(0, draw.choice(["序号", "id"]))
        made.rows.append(list(heads))
        for person, (code, name) in enumerate(people):
            for turn, year in enumerate(years):
                row = len(made.rows)
                cells: list[object] = [name if layout != "down" or turn == 0 else "", label.format(year)]
                if layout == "code":
                    cells = [draw.choice([code, f"{code}.0", f"{code}000000", code[:4]]), *cells]
                if len(heads) > len(cells) + 1:
                    cells = [person * len(years) + turn + 1, *cells]
                made.rows.append(cells)
                put(row, len(cells), code, year)
    elif layout == "wide":
        said = draw.random() < 0.5
        tail = f"{measure}({unit})" if said and unit and "年" in label else ""
        made.rows.append([place, *(f"{label.format(year)}{tail}" for year in years)])
        for code, name in people:
            row = len(made.rows)
            made.rows.append([name])
            for column, year in enumerate(years, start=1):
                put(row, column, code, year)
    elif layout == "rows":
        made.rows.append(["年份", place, "指标", "单位", "数值"])
        for code, name in people:
            for year in years:
                for what, its in (("地区生产总值", "亿元"), ("户籍人口", "万人")):
                    row = len(made.rows)
                    made.rows.append([label.format(year), name, what, its])
                    put(row, 4, code, year)
    elif layout == "across":
        made.rows.append([draw.choice(["年份", "year", ""]), *(name for _, name in people)])
        for year in years:
            row = len(made.rows)
            made.rows.append([label.format(year)])
            for column, (code, _) in enumerate(people, start=1):
                put(row, column, code, year)
    elif layout == "turned":
        made.rows += [[f"{years[0]}年主要指标"], ["指标", "单位", *(name for _, name in people)]]
        for what, its in (("地区生产总值", "亿元"), ("户籍人口", "万人")):
            row = len(made.rows)
            made.rows.append([what, its])
            for column, (code, _) in enumerate(people, start=2):
                put(row, column, code, years[0])
    elif layout == "alone":
        code = people[0][0]
        made.rows += [[f"地区：{chosen[0].name_zh}"], ["指标", *(label.format(year) for year in years)]]
        for what in ("地区生产总值(亿元)", "户籍人口(万人)"):
            row = len(made.rows)
            made.rows.append([what])
            for column, year in enumerate(years, start=1):
                put(row, column, code, year)
    elif layout == "joined":
        made.rows.append([place, "年份", header])
        for city in chosen:
            row = len(made.rows)
            both = draw.choice([f"{city.city_code} {city.name_zh}", f"{city.name_zh}({city.city_code})"])
            made.rows.append([both, label.format(years[0])])
            put(row, 2, city.city_code, years[0])
    elif layout == "over":
        made.rows.append([place, *(text for year in years for text in (label.format(year), ""))])
        made.rows.append(["", *(["地区生产总值(亿元)", "年末人口(万人)"] * len(years))])
        for code, name in people:
            row = len(made.rows)
            made.rows.append([name])
            for column in range(2 * len(years)):
                put(row, 1 + column, code, years[column // 2])
    elif layout == "levels":
        made.rows += [[place, "年份", f"{measure}({unit or '亿元'})", "", "年末人口(万人)", ""]]
        made.rows += [["", "", "全市", "市辖区", "全市", "市辖区"]]
        for code, name in people:
            for year in years:
                row = len(made.rows)
                made.rows.append([name, label.format(year)])
                for column in range(2, 6):
                    put(row, column, code, year)
    elif layout == "beside":
        half = (len(people) + 1) // 2
        made.rows.append([place, "年份", header, "", place, "年份", header])
        for index, (code, name) in enumerate(people):
            row, left = top + 1 + index % half, 4 * (index // half)
            while len(made.rows) <= row:
                made.rows.append([])
            line = made.rows[row]
            line.extend([""] * (left + 2 - len(line)))
            line[left : left + 2] = [name, label.format(years[0])]
            put(row, left + 2, code, years[0])
    else:  # titled: the year in the title; below: a second table, of another year or of something else
        for year in years if layout == "below" else years[:1]:
            made.rows.append([f"2-{year % 10} {year}年{draw.choice(['地级市', '各城市'])}统计"])
            made.rows.append([place, header])
            for code, name in people:
                row = len(made.rows)
                made.rows.append([name])
                put(row, 1, code, year)
            if draw.random() < 0.5:
                made.rows.append([])
    if draw.random() < 0.3:
        made.rows.append([draw.choice(["注：本表为年末数", "资料来源：统计局"])])
    return made


def write(made: Table, draw: random.Random, folder: Path, number_of: int, kinds: tuple[str, ...]) -> Path:
    """The table as a file of one of the kinds."""
    kind = draw.choice(kinds)
    width = max(map(len, made.rows))
    rows = [[*row, *[""] * (width - len(row))] for row in made.rows]
    path = folder / f"t{number_of}.{'xls' if kind == 'html' else kind}"
    if kind in ("csv", "tsv", "txt"):
        text = io.StringIO()
        csv.writer(text, delimiter={"csv": draw.choice(",;"), "tsv": "\t", "txt": "\t"}[kind]).writerows(rows)
        path.write_bytes(text.getvalue().encode(draw.choice(["utf-8", "utf-8-sig", "gb18030", "utf-16"])))
    elif kind == "xlsx":
        import xlsxwriter

        with xlsxwriter.Workbook(str(path)) as book:
            sheet = book.add_worksheet()
            for index, row in enumerate(rows):
                sheet.write_row(index, 0, row)
    else:
        cells = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
        path.write_text(f"<html><meta charset='utf-8'><table>{cells}</table></html>", encoding="utf-8")
    return path
