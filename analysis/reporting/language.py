"""The report in Chinese: one catalogue of phrases, and what finds a text in it. Nothing is written or laid out here.

Texts are English where they are made. A phrase of `chinese.csv` may have gaps: {1} to {9} for any words within a
sentence, {#1} to {#9} for a number or several; what fills a gap is looked up in turn. Of several phrases that fit, the
one counts that leaves the fewest words in English, then the longest. Labels of a study come from its YAML, which has
both languages.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from analysis.printing.table import Line, Panel, Table
from analysis.studies.records import Label, Study

CATALOGUE = Path(__file__).with_name("chinese.csv")
CITIES = Path(__file__).parents[2] / "data" / "reference" / "cities.csv"
_GAP = re.compile(r"\{(#?\d)\}")
#: How a sentence begins: with a capital, a digit, a quote or a bracket, or with the label of a column and a colon.
_BEGINS = r"(?:[A-Z0-9'\"(\[*]|[a-z][\w-]*(?:, [^.:]*(?:\.\d[^.:]*)?)?: )"
#: What may fill a gap: words within a sentence, or a number or several.
_WORDS, _NUMBER = rf"((?:(?![.?!]\s+{_BEGINS}).)+?)", r"([-\u2212\d][\d.,]*(?:, [-\u2212\d][\d.]*)*)"
_SENTENCE = re.compile(rf"(?<=[.?!])\s+(?={_BEGINS})")


#: Letters of a phrase up to which it needs known words in its gaps.
FEW = 4


@cache
def _phrases() -> tuple[dict[str, str], list[tuple[re.Pattern[str], list[str], str, int]]]:
    """Whole phrases, and those with gaps, the longest first: what they match, gaps, Chinese, letters of their own."""
    whole: dict[str, str] = {}
    gapped = []
    with CATALOGUE.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            english, chinese = row["english"], row["chinese"]
            if not _GAP.search(english):
                whole[english] = chinese
                continue
            own, gaps = _GAP.split(english)[::2], _GAP.findall(english)
            fillers = [_NUMBER if gap.startswith("#") else _WORDS for gap in gaps]
            pattern = "".join(re.escape(part) + filler for part, filler in zip(own, [*fillers, ""], strict=True))
            gapped.append((re.compile(pattern), gaps, chinese, len("".join(re.findall("[A-Za-z]", "".join(own))))))
    for english, both in _cities().items():
        whole.setdefault(english, both)
    gapped.sort(key=lambda phrase: -phrase[-1])
    return whole, gapped


def _cities() -> dict[str, str]:
    """The cities of the reference list; five names in Latin letters stand for two cities each, and become both."""
    found: dict[str, list[str]] = {}
    with CITIES.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            found.setdefault(row["name_en"], []).append(row["name_zh"])
    return {english: "/".join(dict.fromkeys(chinese)) for english, chinese in found.items()}


class Chinese:
    """What a text of the report is in Chinese, given the labels of a study (English -> Chinese)."""

    def __init__(self, labels: Mapping[str, str] | None = None) -> None:
        self._labels = dict(labels or {})
        # tables write a label within a phrase in lower case
        self._labels |= {english.lower(): chinese for english, chinese in self._labels.items()}
        self._found: dict[str, str | None] = {}

    def __call__(self, text: str) -> str:
        """The text in Chinese, as far as words for it are known; a text without any is returned as it is."""
        return self._look(text) or text

    def knows(self, text: str) -> bool:
        """Whether a text is in the catalogue or among the labels, or needs no words: a number, the name of a column."""
        plain = not re.search("[A-Za-z]{2}", text) or re.fullmatch("[a-z0-9_]+", text)
        return bool(plain) or self._look(text) is not None

    def _look(self, text: str) -> str | None:
        if text not in self._found:
            self._found[text] = None
            self._found[text] = self._search(text) if re.search("[A-Za-z]", text) else None
        return self._found[text]

    def _search(self, text: str) -> str | None:
        known = self._labels.get(text) or _phrases()[0].get(text)
        if known:
            return known
        # of all ways to take a text apart, the one that leaves the fewest words in English
        best: str | None = None
        for found in self._readings(text):
            if best is None or _english(found) < _english(best):
                best = found
            if not _english(best):
                break
        return best

    def _readings(self, text: str) -> Iterator[str]:
        """By a phrase with gaps, the longest first; then by sentences, the items of a list, or around a colon."""
        for pattern, gaps, chinese, own in _phrases()[1]:
            match = pattern.fullmatch(text)
            # "{1} to {2}" fits half of all sentences: few words count only between what is known itself
            if match and (own > FEW or all(map(self.knows, match.groups()))):
                filled = dict(zip(gaps, map(self, match.groups()), strict=True))
                yield _GAP.sub(lambda gap, filled=filled: filled[gap[1]], chinese)  # type: ignore[misc]
        named = re.fullmatch(r"(.+) \((\w+)\)", text)
        if named and self._look(named[1]):
            yield f"{self(named[1])}（{named[2]}）"
        sentences = _SENTENCE.split(text)
        if len(sentences) > 1:
            if any(map(self._look, sentences)):
                yield _joined(map(self, sentences))
            return
        for mark, joint in ((" × ", "×"), ("; ", "；"), (", ", "，")):
            items = text.split(mark)
            if len(items) > 1 and all(map(self.knows, items)):
                yield joint.join(map(self, items))
        if text.endswith(".") and self._look(text[:-1]):
            yield f"{self(text[:-1])}。"
        head, colon, rest = text.partition(": ")
        if colon and (self._look(rest) or self._look(head)):
            yield f"{self(head)}：{self(rest)}"


def _english(text: str) -> int:
    """Words that stayed English, apart from names of columns."""
    return len(re.findall(r"(?<![\w.])[A-Za-z][a-z']+(?![\w.])", text))


def _joined(sentences: Iterable[str]) -> str:
    """Sentences one after the other, a blank only after one that stayed English."""
    return "".join(f"{text} " if text.isascii() else text for text in sentences).rstrip()


def study_labels(study: Study) -> dict[str, str]:
    """English -> Chinese of every text that the study's YAML has in both languages."""
    return {label.en: label.zh for label in _labels(study) if label.en != label.zh}


def _labels(part: Any) -> Iterable[Label]:
    """Every label below a record."""
    if isinstance(part, Label):
        yield part
    elif is_dataclass(part):
        for field in fields(part):
            yield from _labels(getattr(part, field.name))
    elif isinstance(part, (tuple, list)):
        for element in part:
            yield from _labels(element)
    elif isinstance(part, Mapping):
        for element in part.values():
            yield from _labels(element)


def translate(table: Table, chinese: Chinese) -> Table:
    """The table with its words in Chinese; its numbers, and texts that have no Chinese, stay as they are."""

    def line(row: Line) -> Line:
        return replace(row, label=chinese(row.label), cells=tuple(map(chinese, row.cells)))

    def panel(block: Panel) -> Panel:
        return Panel(block.title and chinese(block.title), tuple(map(line, block.lines)))

    return replace(
        table,
        caption=chinese(table.caption),
        title=chinese(table.title),
        headers=tuple(tuple(map(chinese, header)) for header in table.headers),
        first_heading=chinese(table.first_heading),
        panels=tuple(map(panel, table.panels)),
        notes=tuple(map(chinese, table.notes)),
    )
