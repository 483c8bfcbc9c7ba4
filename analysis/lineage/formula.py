"""Formulas as the descriptions of columns declare them: evaluated, written out with numbers, asked for their inputs.

A formula is arithmetic in names: ``x`` is the city's value of the year, ``x[-1]`` of the year before, ``x[2006]`` of
that year. Functions: ``interpolated(x)`` (gaps inside the city's series on the line between the years around them),
``coalesce(a, b)`` (the first that has a value), ``at(2006, a)`` and ``since(2006, a)`` (missing in other and in earlier
years), and those of `analysis.indices` named in `INDICES`. Nothing here knows where values come from.
"""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import pandas as pd

from analysis import indices

#: (name, year, whether gaps are interpolated) -> value, NaN where there is none.
LookUp = Callable[[str, int, bool], float]

OPERATORS: dict[type, tuple[str, int, Callable[[float, float], float]]] = {
    ast.Add: ("+", 1, operator.add),
    ast.Sub: ("-", 1, operator.sub),
    ast.Mult: ("×", 2, operator.mul),
    ast.Div: ("/", 2, operator.truediv),
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
    """

    value: float
    symbols: str
    numbers: str
    inputs: tuple[Input, ...] = ()
    binding: int = ATOM


def angle(primary: float, secondary: float, tertiary: float) -> float:
    """`analysis.indices.industrial_structure_angle` of three numbers."""
    columns = ["primary", "secondary", "tertiary"]
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
    ValueError
        What cannot be read, naming the part.
    """
    return _read(_parse(formula), year, look_up)


def names(formula: str) -> tuple[str, ...]:
    """Every name a formula may use, each once, in order of appearance."""
    every = list(ast.walk(_parse(formula)))
    functions = {id(node.func) for node in every if isinstance(node, ast.Call)}
    found = [node for node in every if isinstance(node, ast.Name) and id(node) not in functions]
    return tuple(dict.fromkeys(node.id for node in sorted(found, key=lambda node: node.col_offset)))


def alternatives(formula: str) -> dict[str, tuple[str, ...]]:
    """Name -> names that are taken in its place where it is missing; a start of a series is no alternative to it."""
    found: dict[str, tuple[str, ...]] = {}
    for node in ast.walk(_parse(formula)):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "coalesce":
            parts = [ast.unparse(argument) for argument in node.args]
            if not any(part.startswith(("at(", "since(")) for part in parts):
                for part in parts:
                    others = tuple(name for other in parts if other != part for name in names(other))
                    found |= {name: others for name in names(part) if name not in others}
    return found


def number(value: float | None) -> str:
    """A number for reading: six digits, or all of them before the point."""
    if value is None or math.isnan(value):
        return "no value"
    if abs(value) >= 1e5:
        return f"{value:,.1f}".removesuffix(".0")
    return f"{value:,.6g}"


@lru_cache
def _parse(formula: str) -> ast.expr:
    try:
        return ast.parse(formula, mode="eval").body
    except SyntaxError as error:
        raise ValueError(f"The formula {formula!r} cannot be read: {error.msg}.") from error


def _read(node: ast.expr, year: int, look_up: LookUp) -> Reading:
    match node:
        case ast.Constant(value=int() | float() as value):
            return Reading(float(value), number(value), number(value))
        case ast.Name(id=name):
            return _value(name, year, False, look_up, name)
        case ast.Subscript(value=ast.Name(id=name), slice=index):
            at = int(ast.literal_eval(index))
            at = year + at if at <= 0 else at
            return _value(name, at, False, look_up, f"{name}[{at}]")
        case ast.BinOp(left=left, op=op, right=right) if type(op) in OPERATORS:
            return _operation(op, _read(left, year, look_up), _read(right, year, look_up))
        case ast.Call(func=ast.Name(id=function), args=arguments):
            return _call(function, arguments, year, look_up)
    raise ValueError(f"A formula holds {ast.unparse(node)!r}, which is no number, name or known operation.")


def _value(name: str, year: int, interpolated: bool, look_up: LookUp, shown: str) -> Reading:
    value = look_up(name, year, interpolated)
    return Reading(value, shown, number(value), (Input(name, year, interpolated),))


def _operation(op: ast.operator, left: Reading, right: Reading) -> Reading:
    sign, binding, compute = OPERATORS[type(op)]
    try:
        value = compute(left.value, right.value)
    except ZeroDivisionError:
        value = math.nan

    def joined(a: str, b: str) -> str:
        a = f"({a})" if left.binding < binding else a
        # a - (b + c) and a / (b × c) need their parentheses
        tight = binding + (sign in "-/")
        b = f"({b})" if right.binding < tight else b
        return f"{a} {sign} {b}"

    symbols, numbers = joined(left.symbols, right.symbols), joined(left.numbers, right.numbers)
    return Reading(value, symbols, numbers, (*left.inputs, *right.inputs), binding)


def _call(function: str, arguments: list[ast.expr], year: int, look_up: LookUp) -> Reading:
    if function == "interpolated" and len(arguments) == 1 and isinstance(arguments[0], ast.Name):
        return _value(arguments[0].id, year, True, look_up, arguments[0].id)
    if function == "coalesce" and arguments:
        readings = (_read(argument, year, look_up) for argument in arguments)
        last = Reading(math.nan, "", "")
        for last in readings:
            if not math.isnan(last.value):
                break
        return last
    if function in ("at", "since") and len(arguments) == 2:
        start = int(ast.literal_eval(arguments[0]))
        if year == start if function == "at" else year >= start:
            return _read(arguments[1], year, look_up)
        return Reading(math.nan, f"nothing {'but in' if function == 'at' else 'before'} {start}", "no value")
    if function in INDICES:
        read = [_read(argument, year, look_up) for argument in arguments]
        inputs = tuple(found for reading in read for found in reading.inputs)
        known = not any(math.isnan(reading.value) for reading in read)
        value = INDICES[function](*(reading.value for reading in read)) if known else math.nan
        written = [", ".join(getattr(reading, part) for reading in read) for part in ("symbols", "numbers")]
        return Reading(value, f"{function}({written[0]})", f"{function}({written[1]})", inputs)
    raise ValueError(f"A formula calls {function!r} with {len(arguments)} arguments, which no function here takes.")
