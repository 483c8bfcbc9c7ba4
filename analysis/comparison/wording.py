"""What changed, in words of both languages: the line of the overview, and what a part of a reason is called."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from analysis.comparison import causes
from analysis.studies.records import Label

if TYPE_CHECKING:
    from analysis.comparison.causes import Part

#: The cause of what a list of pilots decides.
LIST = "data/policies/{}"
#: Share of its standard error from which an estimate has moved far.
FAR = 0.5

_PARTS = {
    causes.SPECIFICATION: Label("the specification or the code", "设定或代码的改动"),
    causes.TOGETHER: Label("what these did only together", "上述各项的共同作用"),
    causes.UNTRACED: Label("values that no changed file feeds", "并非来自已改动文件的数值"),
}


def label_of(description: str) -> Label:
    """English and Chinese from a text such as "Gross domestic product (地区生产总值)."."""
    found = re.fullmatch(r"(.+?) [(（]([^()（）]*[\u4e00-\u9fff].*)[)）]\.?", description.strip())
    return Label(found[1], found[2]) if found else Label(description.rstrip("."), description.rstrip("."))


def decimals(sizes: Iterable[float]) -> int:
    """Decimals with which changes of these sizes can be told apart: four, or two digits of the largest."""
    largest = max((abs(size) for size in sizes if np.isfinite(size)), default=0.0)
    return 4 if largest == 0 else int(min(12, max(4, 1 - np.floor(np.log10(largest)))))


def signed(value: float, places: int = 4) -> str:
    """A part of a change, with its sign."""
    return f"{value:+.{places}f}".replace("-", "\u2212")


def number(value: float, places: int = 4) -> str:
    """An estimate as text."""
    return f"{value:.{places}f}".replace("-", "\u2212")


def overview(table: pd.DataFrame) -> Label:
    """One line of what changed since the publication before."""
    files = int(table["part"].eq("file").sum())
    counts = table[table["part"].eq("count") & table["item"].eq("value")]
    values = int(counts["new"].sum())
    estimates = table[table["part"].eq("estimate")]
    moved = int(estimates["change"].eq("moved").sum())
    far = int((estimates["change"].eq("moved") & (estimates["contribution"].abs() > FAR)).sum())
    others = len(estimates) - moved
    checks = table[table["part"].eq("check")]["change"].value_counts()
    if table.empty or not (files or values or len(estimates) or len(checks)):
        noted = table[table["part"].eq("note")]
        if len(noted):
            return Label(str(noted["message"].iloc[0]), str(noted["message_zh"].iloc[0]))
        return Label("Nothing that is published has changed.", "所发布的内容没有变化。")
    english = [
        _many(files, "file") + " changed" if files else "No file changed",
        _many(values, "value") + " of panels",
        f"{_many(moved, 'estimate')} moved" + (f", {far} of them by more than half a standard error" if far else ""),
    ]
    chinese = [
        f"{files}个文件有变化" if files else "文件没有变化",
        f"面板数值变化{values:,}个",
        f"{moved}个估计值变动" + (f"，其中{far}个的变动超过半个标准误" if far else ""),
    ]
    if others:
        english.append(f"{_many(others, 'estimate')} new or gone")
        chinese.append(f"{others}个估计值新增或消失")
    for change, said in (("newly broken", "不再成立的检查{}项"), ("mended", "恢复成立的检查{}项")):
        if checks.get(change, 0):
            english.append(f"{_many(int(checks[change]), 'check')} {change}")
            chinese.append(said.format(checks[change]))
    return Label("; ".join(english) + ".", "；".join(chinese) + "。")


def _many(count: int, what: str) -> str:
    return f"{count:,} {what}" + "s" * (count != 1)


def sentence(before: float, now: float, parts: list[tuple[float, Label]]) -> Label:
    """Why an estimate moved: "0.4810 → 0.4660: −0.0120 from ..., −0.0030 from ..."."""
    places = decimals([now - before, *(part for part, _ in parts)])
    moved = f"{number(before, places)} → {number(now, places)}"
    english = ", ".join(f"{signed(part, places)} from {label.en}" for part, label in parts)
    chinese = "，".join(f"{label.zh}{signed(part, places)}" for part, label in parts)
    return Label(f"{moved}: {english}.", f"{moved}：{chinese}。")


class Words:
    """What causes, cities and years are called.

    Parameters
    ----------
    files, cells
        The parts of the table of changes.
    cities
        ``city_code``, ``name_en``, ``name_zh``.
    names
        Indicator or column -> its name.
    """

    def __init__(
        self, files: pd.DataFrame, cells: pd.DataFrame, cities: pd.DataFrame, names: Mapping[str, Label]
    ) -> None:
        self._files = dict(zip(files["file"], files["change"], strict=True))
        self._cells = cells
        rows = cities[["city_code", "name_en", "name_zh"]].astype(str).itertuples(index=False, name=None)
        self._cities = {code: Label(english, chinese) for code, english, chinese in rows}
        self._names = names

    def group(self, part: Part) -> Label:
        """What a part of a reason is called."""
        if part.group in _PARTS:
            return _PARTS[part.group]
        others = re.fullmatch(rf"(\d+) {causes.OTHERS}", part.group)
        if others:
            many = {"city": ("cities", "个城市"), "year": ("years", "个年份")}[part.level]
            return Label(f"the {others[1]} other {many[0]}", f"其余{others[1]}{many[1]}")
        if part.level == "city":
            return self.city(part.group)
        if part.level == "year":
            return Label(part.group, f"{part.group}年")
        if part.level == "value":
            column, city, year = part.group.rsplit(", ", 2)
            named, place = self.named(column), self.city(city)
            return Label(f"{named.en}, {place.en}, {year}", f"{place.zh}{year}年{named.zh}")
        if part.group.startswith(LIST.format("")):
            policy = part.group.removeprefix(LIST.format(""))
            return Label(f"the list of pilots {policy}", f"试点名单{policy}")
        files = part.group.split(causes.AND)
        if len(files) > 1:
            return Label(f"{part.group} together", "与".join(files))
        return self.file(part.group)

    def file(self, name: str) -> Label:
        """A changed file by what changed in it: "the corrected GDP of Huzhou in 2016 (yearbook.xlsx)"."""
        change = self._files.get(name)
        if change == "new":
            return Label(f"the new file {name}", f"新文件{name}")
        if change == "removed":
            return Label(f"{name}, which is gone", f"已移除的文件{name}")
        own = self._cells[self._cells["file"].eq(name)]
        if not len(own):
            return Label(f"the changed file {name}", f"有改动的文件{name}")
        items = own["item"].dropna().unique()
        named = self.named(str(items[0]))
        if len(own) == 1:
            cell = own.iloc[0]
            place, year = self.city(str(cell["city_code"])), int(cell["year"])
            verb = {"new": ("new", "新增"), "removed": ("removed", "移除"), "set aside": ("set aside", "被搁置")}
            english, chinese = verb.get(str(cell["change"]), ("corrected", "更正"))
            return Label(
                f"the {english} {named.en} of {place.en} in {year} ({name})",
                f"{name}中{place.zh}{year}年{named.zh}的{chinese}",
            )
        if len(items) == 1:
            return Label(
                f"{len(own):,} changed values of {named.en} in {name}", f"{name}中{named.zh}的{len(own):,}处改动"
            )
        return Label(f"{len(own):,} changed values in {name}", f"{name}中的{len(own):,}处改动")

    def city(self, code: str) -> Label:
        """A city by its name, a unit as it is written."""
        return self._cities.get(code, Label(code, code))

    def named(self, item: str) -> Label:
        """An indicator or column by its name."""
        return self._names.get(item, Label(item.replace("_", " "), item))

    @staticmethod
    def note(text: str) -> Label:
        """Why a change was not split; its Chinese says so much."""
        return Label(text, f"未分解：{text}")
