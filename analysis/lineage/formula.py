"""Formulas value by value: evaluated, written out with numbers, asked for what stands in for what.

What a formula may hold is decided in `analysis.formulas`. Beside that language, the descriptions of dbt models declare
what the intermediate layer computes with ``interpolated(x)`` (gaps inside the city's series on the line between the
years around them), ``at(2006, a)`` and ``since(2006, a)`` (missing in other and in earlier years). Nothing here knows
where values come from.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import pandas as pd
from sqlglot import exp

from analysis import formulas, indices
from analysis.formulas import DECLARING, YEAR, Formula, arguments, called, lagged, written

#: (name, year, whether gaps are interpolated) -> value, NaN where there is none.
LookUp = Callable[[str, int, bool], float]

OPERATORS: dict[type, tuple[str, int, Callable[[float, float], float]]] = {
    exp.Add: ("+", 1, operator.add),
    exp.Sub: ("-", 1, operator.sub),
    exp.Mul: ("×", 2, operator.mul),
    exp.Div: ("/", 2, operator.truediv),
}
COMPARISONS: dict[type, tuple[str, Callable[[float, float], bool]]] = {
    exp.EQ: ("=", operator.eq),
    exp.NEQ: ("<>", operator.ne),
    exp.GT: (">", operator.gt),
    exp.GTE: (">=", operator.ge),
    exp.LT: ("<", operator.lt),
    exp.LTE: ("<=", operator.le),
}
ATOM = 3


@dataclass(frozen=True)
class Input:
    """A value that a formula has used: of which year, and whether it may have been filled in."""

    name: str
    year: int
    interpolated: bool = False


@dataclass(frozen=True)
class Reading:
    """A formula in one city and year.

    Attributes
    ----------
    value : NaN where an input is missing.
    symbols, numbers : the formula in names and in numbers; of alternatives, the one that counted.
    inputs : what it used, in order.
    binding : how tightly the outermost operation binds, for parentheses.
    reasons : why it has no value although its inputs have one: what is divided by is zero, a logarithm's is not above.
    """

    value: float
    symbols: str
    numbers: str
    inputs: tuple[Input, ...] = ()
    binding: int = ATOM
    reasons: tuple[str, ...] = ()


def angle(primary: float, secondary: float, tertiary: float) -> float:
    """`analysis.indices.industrial_structure_angle` of three numbers; missing where one is negative."""
    columns = ["primary", "secondary", "tertiary"]
    if min(primary, secondary, tertiary) < 0:
        return math.nan
    frame = pd.DataFrame([[primary, secondary, tertiary]], columns=columns)
    return float(indices.industrial_structure_angle(frame, columns).iloc[0])


def advantage(cases: float, gdp: float, national_cases: float, national_gdp: float) -> float:
    """`analysis.indices.revealed_comparative_advantage` of four numbers."""
    frame = pd.DataFrame([[cases, gdp, national_cases, national_gdp]], columns=["c", "g", "nc", "ng"])
    made = indices.revealed_comparative_advantage(frame, "c", "g", national_cases="nc", national_gdp="ng")
    return float(made.iloc[0])


INDICES: dict[str, Callable[..., float]] = {
    "industrial_structure_angle": angle,
    "revealed_comparative_advantage": advantage,
}


def evaluate(formula: str, year: int, look_up: LookUp) -> Reading:
    """A formula in one year, its names looked up.

    Raises
    ------
    FormulaError
        What cannot be read, naming the part.
    """
    return _Evaluation(look_up).value(read(formula).tree, year, year)


def read(formula: str) -> Formula:
    """A formula as a publication or a dbt model declares it."""
    return formulas.parse(formula, declaring=True)


def names(formula: str) -> tuple[str, ...]:
    """Every name a formula may use, each once, in order of appearance."""
    return read(formula).names


def alternatives(formula: str) -> dict[str, tuple[str, ...]]:
    """Name -> names that are taken in its place where it is missing; a start of a series is no alternative to it."""
    found: dict[str, tuple[str, ...]] = {}
    for node in read(formula).tree.find_all(exp.Coalesce):
        parts = arguments(node)
        if not any(called(part) in ("at", "since") for part in parts):
            for part in parts:
                others = tuple(name for other in parts if other is not part for name in _names(other))
                found |= {name: others for name in _names(part) if name not in others}
    return found


def number(value: float | None) -> str:
    """A number for reading: six digits, or all of them before the point."""
    if value is None or math.isnan(value):
        return "no value"
    if abs(value) >= 1e5:
        return f"{value:,.1f}".removesuffix(".0")
    return f"{value:,.6g}"


def _names(node: exp.Expr) -> tuple[str, ...]:
    return Formula("", node).names


class _Evaluation:
    """One reading of a formula; ``now`` is the year that is asked for, ``year`` the one that a ``lag`` has led to."""

    def __init__(self, look_up: LookUp) -> None:
        self.look_up = look_up

    def value(self, node: exp.Expr, year: int, now: int) -> Reading:
        match node:
            case exp.Literal():
                value = float(node.this)
                return Reading(value, number(value), number(value))
            case exp.Column(name=name):
                return self._column(name, year, now)
            case exp.Bracket():
                at = int(node.expressions[0].this)
                return self._column(node.this.name, at, now)
            case exp.Paren():
                return self.value(node.this, year, now)
            case exp.Lag():
                return self.value(node.this, year - lagged(node), now)
            case exp.Neg():
                return _negative(self.value(node.this, year, now))
            case exp.Case():
                return self._case(node, year, now)
            case _ if type(node) in OPERATORS:
                return _operation(type(node), *(self.value(side, year, now) for side in (node.this, node.expression)))
        return self._call(node, year, now)

    def _column(self, name: str, year: int, now: int, interpolated: bool = False) -> Reading:
        shown = name if year == now else f"{name}[{year}]"
        if name == YEAR:
            return Reading(float(year), str(year), str(year))
        value = self.look_up(name, year, interpolated)
        return Reading(value, shown, number(value), (Input(name, year, interpolated),))

    def _call(self, node: exp.Expr, year: int, now: int) -> Reading:
        function, given = called(node), arguments(node)
        if function == "interpolated" and isinstance(given[0], exp.Column):
            return self._column(given[0].name, year, now, interpolated=True)
        if function == "coalesce":
            last = Reading(math.nan, "", "")
            for argument in given:
                last = self.value(argument, year, now)
                if not math.isnan(last.value):
                    break
            return last
        if function in DECLARING:
            start = int(given[0].this)
            if year == start if function == "at" else year >= start:
                return self.value(given[1], year, now)
            return Reading(math.nan, f"nothing {'but in' if function == 'at' else 'before'} {start}", "no value")
        readings = [self.value(argument, year, now) for argument in given]
        values = [reading.value for reading in readings]
        reasons = _reasons(readings)
        if any(math.isnan(value) for value in values):
            value = math.nan
        elif function == "ln":
            value = math.log(values[0]) if values[0] > 0 else math.nan
            reasons += () if values[0] > 0 else (f"{written(given[0])} is {number(values[0])}, which has no logarithm",)
        elif function in ("least", "greatest"):
            value = min(values) if function == "least" else max(values)
        elif function in INDICES:
            value = INDICES[function](*values)
        else:
            raise ValueError(f"A formula calls {function!r}, which has no value of one row.")
        symbols, numbers = (", ".join(texts) for texts in zip(*((r.symbols, r.numbers) for r in readings), strict=True))
        return Reading(value, f"{function}({symbols})", f"{function}({numbers})", _inputs(readings), ATOM, reasons)

    def _case(self, node: exp.Case, year: int, now: int) -> Reading:
        """The branch that counted, behind the conditions that were read before it."""
        conditions: list[Reading] = []
        chosen, known = node.args.get("default"), True
        for branch in node.args["ifs"]:
            truth, condition = self._condition(branch.this, year, now)
            conditions.append(condition)
            if truth is None or truth:
                chosen, known = branch.args["true"], truth is not None
                break
        result = self.value(chosen, year, now) if chosen is not None and known else Reading(math.nan, "nothing", "")
        said = " and ".join(f"({condition.symbols}: {condition.numbers})" for condition in conditions)
        inputs = _inputs([*conditions, result])
        symbols, numbers = f"{result.symbols}, by {said}", result.numbers or "no value"
        return Reading(result.value, symbols, numbers, inputs, 0, result.reasons)

    def _condition(self, node: exp.Expr, year: int, now: int) -> tuple[bool | None, Reading]:
        """True, false or unknown (None), with the numbers that were compared."""
        match node:
            case exp.Paren():
                return self._condition(node.this, year, now)
            case exp.Not():
                truth, reading = self._condition(node.this, year, now)
                return (None if truth is None else not truth), _put(reading, "not {}")
            case exp.Is():
                reading = self.value(node.this, year, now)
                return math.isnan(reading.value), _put(reading, "{} is null")
            case exp.And() | exp.Or():
                (a, left), (b, right) = (self._condition(side, year, now) for side in (node.this, node.expression))
                word = "and" if isinstance(node, exp.And) else "or"
                # the one value that decides alone, else unknown where either is
                decides = word == "or"
                truth = decides if decides in (a, b) else (None if None in (a, b) else not decides)
                return truth, _joined(left, word, right)
        left, right = (self.value(side, year, now) for side in (node.this, node.expression))
        sign, compare = COMPARISONS[type(node)]
        unknown = math.isnan(left.value) or math.isnan(right.value)
        return (None if unknown else compare(left.value, right.value)), _joined(left, sign, right)


def _operation(kind: type, left: Reading, right: Reading) -> Reading:
    sign, binding, compute = OPERATORS[kind]
    reasons = _reasons([left, right])
    if sign == "/" and right.value == 0:
        value = math.nan
        reasons += (f"{right.symbols} is 0, and nothing can be divided by it",) if not math.isnan(left.value) else ()
    else:
        value = compute(left.value, right.value)

    def joined(a: str, b: str) -> str:
        a = f"({a})" if left.binding < binding else a
        # a - (b + c) and a / (b × c) need their parentheses
        tight = binding + (sign in "-/")
        b = f"({b})" if right.binding < tight else b
        return f"{a} {sign} {b}"

    symbols, numbers = joined(left.symbols, right.symbols), joined(left.numbers, right.numbers)
    return Reading(value, symbols, numbers, _inputs([left, right]), binding, reasons)


def _negative(reading: Reading) -> Reading:
    wrapped = "-{}" if reading.binding == ATOM else "-({})"
    return _put(reading, wrapped, -reading.value, binding=1)


def _put(reading: Reading, into: str, value: float = math.nan, binding: int = 0) -> Reading:
    symbols, numbers = into.format(reading.symbols), into.format(reading.numbers)
    return Reading(value, symbols, numbers, reading.inputs, binding, reading.reasons)


def _joined(left: Reading, word: str, right: Reading) -> Reading:
    symbols, numbers = (f"{a} {word} {b}" for a, b in ((left.symbols, right.symbols), (left.numbers, right.numbers)))
    return Reading(math.nan, symbols, numbers, _inputs([left, right]), 0, _reasons([left, right]))


def _inputs(readings: Iterable[Reading]) -> tuple[Input, ...]:
    return tuple(found for reading in readings for found in reading.inputs)


def _reasons(readings: Iterable[Reading]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(reason for reading in readings for reason in reading.reasons))
