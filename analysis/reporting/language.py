"""The report in Chinese: one catalogue of phrases, and what finds a text in it. Nothing is written or laid out here.

Texts are English where they are made. A phrase of `chinese.csv` may have gaps: {1} to {4} for any words within a
sentence, {#1} to {#4} for a number; what fills a gap is looked up in turn. Of several phrases that fit, the longest
counts. Labels of a study come from its YAML, which has both languages.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from analysis.printing.table import Line, Panel, Table
from analysis.studies.records import Label, Study

CATALOGUE = Path(__file__).with_name("chinese.csv")
_GAP = re.compile(r"\{(#?\d)\}")
#: What may fill a gap: within a sentence, so no full stop before a blank and a capital.
_WORDS, _NUMBER = r"((?:(?![.?!]\s+[A-Z0-9]).)+?)", r"([-\u2212\d][\d.,]*)"
#: The end of a sentence: a full stop before a blank and a capital, a digit, a quote or a bracket.
_SENTENCE = re.compile(r"(?<=[.?!])\s+(?=[A-Z0-9'\"(\[*])")


@cache
def _phrases() -> tuple[dict[str, str], list[tuple[re.Pattern[str], list[str], str]]]:
    """Whole phrases, and those with gaps as (what they match, the gaps in order, the Chinese), the longest first."""
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
            gapped.append((sum(map(len, own)), re.compile(pattern), gaps, chinese))
    gapped.sort(key=lambda phrase: -phrase[0])
    return whole, [(pattern, gaps, chinese) for _, pattern, gaps, chinese in gapped]


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
        whole, gapped = _phrases()
        known = self._labels.get(text) or whole.get(text)
        if known:
            return known
        named = re.fullmatch(r"(.+) \((\w+)\)", text)
        if named and self._look(named[1]):
            return f"{self(named[1])}（{named[2]}）"
        for pattern, gaps, chinese in gapped:
            match = pattern.fullmatch(text)
            if match:
                filled = dict(zip(gaps, map(self, match.groups()), strict=True))
                return _GAP.sub(lambda gap, filled=filled: filled[gap[1]], chinese)  # type: ignore[misc]
        return self._parts(text)

    def _parts(self, text: str) -> str | None:
        """Sentence by sentence, or what stands before and after a colon, or the items of a list."""
        sentences = _SENTENCE.split(text)
        if len(sentences) > 1:
            return _joined(map(self, sentences)) if any(map(self._look, sentences)) else None
        for mark, joint in ((" × ", "×"), ("; ", "；")):
            items = text.split(mark)
            if len(items) > 1 and all(map(self.knows, items)):
                return joint.join(map(self, items))
        head, colon, rest = text.partition(": ")
        if colon and (self._look(rest) or self._look(head)):
            return f"{self(head)}：{self(rest)}"
        items = text.split(", ")
        return "，".join(map(self, items)) if len(items) > 1 and all(map(self.knows, items)) else None


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
