"""Formulas as nested lists, for a reader that has no parser: the page that explains a value offline.

Numbers are numbers, a name is ``["n", name]``, a name in a fixed year ``["@", name, year]``, a value of k years before
``["lag", k, x]``; operations and functions begin with their sign or name, conditions stand in ``case``.
"""

from __future__ import annotations

from typing import Any

from sqlglot import exp

from analysis.formulas import arguments, called, lagged
from analysis.lineage.formula import COMPARISONS, OPERATORS, read


def plain(formula: str) -> Any:
    """A formula as nested lists."""
    return _value(read(formula).tree)


def _value(node: exp.Expr) -> Any:
    match node:
        case exp.Literal():
            return float(node.this)
        case exp.Column(name=name):
            return ["n", name]
        case exp.Bracket():
            return ["@", node.this.name, int(node.expressions[0].this)]
        case exp.Paren():
            return _value(node.this)
        case exp.Lag():
            return ["lag", lagged(node), _value(node.this)]
        case exp.Neg():
            return ["neg", _value(node.this)]
        case exp.Case():
            branches = [[_condition(branch.this), _value(branch.args["true"])] for branch in node.args["ifs"]]
            default = node.args.get("default")
            return ["case", branches, None if default is None else _value(default)]
        case _ if type(node) in OPERATORS:
            return [OPERATORS[type(node)][0], _value(node.this), _value(node.expression)]
    return [called(node), *map(_value, arguments(node))]


def _condition(node: exp.Expr) -> Any:
    match node:
        case exp.Paren():
            return _condition(node.this)
        case exp.Not():
            return ["not", _condition(node.this)]
        case exp.Is():
            return ["null", _value(node.this)]
        case exp.And() | exp.Or():
            return ["and" if isinstance(node, exp.And) else "or", _condition(node.this), _condition(node.expression)]
    return [COMPARISONS[type(node)][0], _value(node.this), _value(node.expression)]
