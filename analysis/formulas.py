"""Formulas: arithmetic in names of columns, as `variables.yaml` and studies write it; read here, and turned into SQL.

`parse` reads a text once with sqlglot and refuses everything that is not listed below, so that no text of a formula
reaches a database unread. What it returns gives the names that it uses (`Formula.names`), SQL for DuckDB or Spark
(`Formula.sql`) and the tree that `analysis.lineage.formula` evaluates value by value. Which names exist, and where a
formula stands in a file, the caller knows; nothing here opens a file or a database.

==========================================  ===========================================================================
``+ - * / ( )`` and numbers                 divided by zero is missing, never infinite
``ln(x)``                                   natural logarithm; missing where x is not above zero
``lag(x)``, ``lag(x, 2)``, ``x[-2]``        the value of one or more years before, of the same unit; never of another
                                            year where one is missing
``x[2006]``                                 the unit's value of that year, in every year
``difference(x)``                           x less its value of the year before
``growth(x)``                               x over its value of the year before, less 1
``coalesce(x, y, …)``                       the first that is not missing
``least(x, y, …)``, ``greatest(x, y, …)``   missing where any of them is missing
``case when … then … else … end``           conditions of ``= <> < <= > >=``, ``and``, ``or``, ``not``, ``is null``; a
                                            condition on a missing value gives a missing value
``year``                                    the year of the row
``industrial_structure_angle(x, y, z)``     as the function of that name in `analysis.indices`; missing where a sector
                                            is negative or all are zero
``revealed_comparative_advantage(c, g,      as the function of that name in `analysis.indices`: cases and GDP of the
nation_c, nation_g)``                       city, then of the nation
``entropy_index(x, y, …)``                  the whole formula, of names alone: its bounds and weights are those of all
                                            rows, so that it has no SQL of one row (`Formula.parts`)
==========================================  ===========================================================================
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError
from sqlglot.tokens import Token, TokenType

#: Function -> the fewest and the most values that it takes.
FUNCTIONS: dict[str, tuple[int, int]] = {
    "ln": (1, 1),
    "lag": (1, 2),
    "difference": (1, 1),
    "growth": (1, 1),
    "coalesce": (1, 99),
    "least": (2, 99),
    "greatest": (2, 99),
    "industrial_structure_angle": (3, 3),
    "revealed_comparative_advantage": (4, 4),
    "entropy_index": (2, 99),
}
#: Further ones, which only declare what dbt/models/intermediate computes: no SQL is made of them.
DECLARING = {"interpolated": (1, 1), "at": (2, 2), "since": (2, 2)}
#: Words of the language, which may stand before a parenthesis without being functions.
WORDS = {"case", "when", "then", "else", "end", "and", "or", "not", "is", "null", "in"}
LONGEST = 2000
#: Parentheses and functions in each other.
DEEPEST = 40
FARTHEST_LAG = 50
YEARS = range(1900, 2101)
YEAR = "year"

#: What sqlglot makes of functions that it knows itself.
_NAMED: dict[type[exp.Expr], str] = {
    exp.Ln: "ln",
    exp.Lag: "lag",
    exp.Coalesce: "coalesce",
    exp.Least: "least",
    exp.Greatest: "greatest",
}
ARITHMETIC = (exp.Add, exp.Sub, exp.Mul, exp.Div)
COMPARISONS = (exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE)

_LENGTH = "sqrt(pow(a, 2) + pow(b, 2) + pow(c, 2))"
#: Index -> its parameters and its SQL. Each says the same, word for word, as the function in `analysis.indices`.
_INDICES = {
    "industrial_structure_angle": (
        "abc",
        f"case when {_LENGTH} > 0 and a >= 0 and b >= 0 and c >= 0 then 3 * acos(least(a / {_LENGTH}, 1)) "
        f"+ 2 * acos(least(b / {_LENGTH}, 1)) + 1 * acos(least(c / {_LENGTH}, 1)) end",
    ),
    "revealed_comparative_advantage": ("abcd", "case when b > 0 and d > 0 and c > 0 then (a / b) / (c / d) end"),
}


class FormulaError(ValueError):
    """A formula that cannot be used: one sentence, to be put behind file, line and key."""


@dataclass(frozen=True)
class Formula:
    """A formula that was read and found good.

    Attributes
    ----------
    text : as it was written.
    tree : sqlglot's expression, with ``lag`` in the place of ``x[-1]``, ``difference`` and ``growth``.
    """

    text: str
    tree: exp.Expr

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The columns that it uses, each once, in order of appearance; ``year`` is none."""
        found = (column.name for column in self.tree.find_all(exp.Column, bfs=False) if column.name != YEAR)
        return tuple(dict.fromkeys(found))

    @property
    def parts(self) -> tuple[str, ...]:
        """The columns that it is an entropy index of; none for other formulas."""
        return self.names if called(self.tree) == "entropy_index" else ()

    @property
    def denominators(self) -> tuple[Formula, ...]:
        """What it divides by, numbers left out: where one is zero, the formula is missing."""
        found = (_bare(node.expression) for node in self.tree.find_all(exp.Div, bfs=False))
        return tuple(Formula(written(node), node) for node in found if not isinstance(node, exp.Literal))

    def is_whole(self, whole: Collection[str]) -> bool:
        """Whether its values are whole numbers where those of the columns ``whole`` are, as a database types them."""
        kinds = (exp.Add, exp.Sub, exp.Mul, exp.Neg, exp.Paren, exp.Lag, exp.Coalesce, exp.Identifier)
        for node in self.tree.walk():
            if isinstance(node, exp.Column):
                if node.name not in whole:
                    return False
            elif isinstance(node, exp.Literal):
                if not node.is_int:
                    return False
            elif not isinstance(node, kinds):
                return False
        return True

    def is_sum(self, constants: Collection[str]) -> bool:
        """Whether it adds up where its columns do; those of ``constants`` are the same for every unit."""
        return _adds_up(self.tree, constants)

    def sql(self, dialect: str = "duckdb", *, unit: str = "city_code", time: str = YEAR) -> str:
        """One SQL expression over a table that has a column for each of `names`, a row a ``unit`` and ``time``.

        Parameters
        ----------
        dialect : "duckdb" or "spark".

        Raises
        ------
        FormulaError
            For an entropy index, which is made of all rows, and for what only declares (`DECLARING`).
        """
        return _Writer(unit, time).value(self.tree, 0).sql(dialect=dialect)


def parse(
    text: str,
    names: Collection[str] | None = None,
    *,
    itself: str = "",
    what: str = "an indicator or a column of panels.city_year",
    declaring: bool = False,
) -> Formula:
    """Read a formula.

    Parameters
    ----------
    text
        What a person wrote.
    names
        The columns that it may use; any when None.
    itself
        The variable that the formula is of, which it must not use unless ``names`` holds that name too.
    what
        What a name must be, for the sentence about one that is not.
    declaring
        Whether the functions of `DECLARING` are known too.

    Raises
    ------
    FormulaError
        One sentence that names the part, and the nearest name or function where there is one.
    """
    tree = _tree(text, declaring)
    formula = Formula(text, tree)
    if names is not None:
        for name in formula.names:
            if name not in names:
                if name == itself:
                    raise FormulaError(f"the formula of {itself!r} refers to itself.")
                raise FormulaError(f"{name!r} is not {what}{_nearest(name, names)}")
    return formula


def in_order(formulas: Mapping[str, Formula]) -> tuple[tuple[str, ...], ...]:
    """Names in steps: each uses nothing of its own or a later step; names without a formula here are taken as given.

    A name that is made of itself alone (a column that shows an indicator under its own name) uses nothing.

    Raises
    ------
    FormulaError
        Formulas that refer to each other in a circle, naming the circle.
    """
    waiting = {name: {n for n in f.names if n in formulas and n != name} for name, f in formulas.items()}
    steps: list[tuple[str, ...]] = []
    while waiting:
        ready = tuple(name for name, uses in waiting.items() if not uses & waiting.keys())
        if not ready:
            raise FormulaError(f"formulas refer to each other in a circle: {' → '.join(_circle(waiting))}.")
        steps.append(ready)
        waiting = {name: uses for name, uses in waiting.items() if name not in ready}
    return tuple(steps)


def called(node: exp.Expr) -> str:
    """The function that a node of a formula's tree calls; empty for other nodes."""
    if isinstance(node, exp.Anonymous):
        return str(node.this).lower()
    return _NAMED.get(type(node), "")


def arguments(node: exp.Expr) -> list[exp.Expr]:
    """What a function is called with."""
    return node.expressions if isinstance(node, exp.Anonymous) else [node.this, *node.expressions]


def lagged(node: exp.Lag) -> int:
    """By how many years a ``lag`` goes back."""
    return int(node.args["offset"].this)


def written(node: exp.Expr) -> str:
    """A part of a formula, as one would write it."""
    return node.sql(normalize_functions="lower")


@lru_cache(maxsize=4096)
def _tree(text: str, declaring: bool) -> exp.Expr:
    if not text.strip():
        raise FormulaError("the formula is empty.")
    if len(text) > LONGEST:
        raise FormulaError(f"the formula has {len(text)} characters; {LONGEST} are the most.")
    known = FUNCTIONS | (DECLARING if declaring else {})
    try:
        _check_words(sqlglot.tokenize(text), known)
        trees = sqlglot.parse(text)
    except SqlglotError as error:
        told: dict[str, object] = (getattr(error, "errors", None) or [{}])[0]
        near = f" near {str(told['highlight'])!r}" if told.get("highlight") else ""
        raise FormulaError(f"the formula {text!r} cannot be read{near}.") from None
    if len(trees) != 1 or trees[0] is None:
        raise FormulaError(f"the formula {text!r} cannot be read: it must be one expression.")
    return _expanded(_Checker(known).whole(trees[0]))


def _check_words(tokens: list[Token], known: Collection[str]) -> None:
    """Refuse what the parser would take and a formula must not hold: comments, texts, other functions, deep nesting."""
    depth = 0
    for token, after in zip(tokens, [*tokens[1:], None], strict=True):
        word = token.text.lower()
        if token.comments:
            raise FormulaError(f"a formula holds no comment, as {token.comments[0].strip()!r} is.")
        if token.token_type in (TokenType.STRING, TokenType.SEMICOLON):
            shown = repr(token.text)
            raise FormulaError(f"a formula holds {shown}, which is no number, name or known operation.")
        depth += (token.token_type in (TokenType.L_PAREN, TokenType.L_BRACKET)) or word == "case"
        if depth > DEEPEST:
            raise FormulaError(f"the formula has more than {DEEPEST} parentheses, functions and cases; split it.")
        opens = after is not None and after.token_type == TokenType.L_PAREN
        is_word = word.isidentifier() or token.token_type == TokenType.IDENTIFIER
        if opens and is_word and word not in known and word not in WORDS:
            raise FormulaError(f"{token.text!r} is no function of formulas{_nearest(token.text, known)}")


class _Checker:
    """Goes through a tree once and lets nothing pass that is not named here."""

    def __init__(self, functions: Mapping[str, tuple[int, int]]) -> None:
        self.functions = functions

    def whole(self, node: exp.Expr) -> exp.Expr:
        if called(_bare(node)) == "entropy_index":
            self._entropy(_bare(node))
            return _bare(node)
        self.value(node)
        return node

    def value(self, node: exp.Expr) -> None:
        """A number, or what gives one."""
        match node:
            case exp.Literal(is_string=False):
                if not math.isfinite(float(node.this)):
                    raise FormulaError(f"{node.this} is too large a number.")
            case exp.Column():
                if len(node.parts) != 1:
                    raise FormulaError(f"{written(node)!r} has a dot; a formula names columns alone.")
            case exp.Paren() | exp.Neg():
                self.value(node.this)
            case exp.Bracket():
                self._year(node)
            case exp.Case():
                if node.this is not None:
                    raise FormulaError("`case` is followed by `when`, as in `case when x > 0 then 1 else 0 end`.")
                for branch in node.args["ifs"]:
                    self.condition(branch.this)
                    self.value(branch.args["true"])
                if node.args.get("default") is not None:
                    self.value(node.args["default"])
            case exp.Null():
                raise FormulaError("`null` stands only behind `is`; leave `else` out for a missing value.")
            case _ if isinstance(node, ARITHMETIC):
                self.value(node.this)
                self.value(node.expression)
                if isinstance(node, exp.Div) and _number(node.expression) == 0:
                    raise FormulaError(f"{written(node)!r} divides by zero.")
            case _ if called(node):
                self._call(node)
            case _ if isinstance(node, (*COMPARISONS, exp.And, exp.Or, exp.Not, exp.Is)):
                raise FormulaError(f"{written(node)!r} is a condition; it stands only behind `case when`.")
            case _:
                raise FormulaError(f"a formula holds {written(node)!r}, which is no number, name or known operation.")

    def condition(self, node: exp.Expr) -> None:
        """What is true or false."""
        match node:
            case exp.Paren() | exp.Not():
                self.condition(node.this)
            case exp.And() | exp.Or():
                self.condition(node.this)
                self.condition(node.expression)
            case exp.Is(expression=exp.Null()):
                self.value(node.this)
            case _ if isinstance(node, COMPARISONS):
                self.value(node.this)
                self.value(node.expression)
            case _:
                raise FormulaError(f"{written(node)!r} is no condition, as `x > 0` is one.")

    def _call(self, node: exp.Expr) -> None:
        function, given = called(node), arguments(node)
        if isinstance(node, exp.Lag):
            if node.args.get("default") is not None:
                raise FormulaError("'lag' takes a value and how many years to go back, and nothing else.")
            years = node.args.get("offset")
            back = _number(years) if years is not None else 1
            if years is not None and back not in range(1, FARTHEST_LAG + 1):
                raise FormulaError(f"'lag' goes back 1 to {FARTHEST_LAG} whole years, not {written(years)}.")
        if function not in self.functions:
            raise FormulaError(f"{function!r} is no function of formulas{_nearest(function, self.functions)}")
        if function == "entropy_index":
            raise FormulaError("an entropy index is the whole formula, not a part of one: give it a variable.")
        fewest, most = self.functions[function]
        if not fewest <= len(given) <= most:
            count = str(fewest) if fewest == most else f"{fewest} or more"
            raise FormulaError(f"{function!r} takes {count} value{'s' * (most > 1)}, not {len(given)}.")
        if function in ("at", "since") and _number(given[0]) not in YEARS:
            raise FormulaError(f"{function!r} takes a year first, not {written(given[0])!r}.")
        for argument in given:
            self.value(argument)

    def _entropy(self, node: exp.Expr) -> None:
        for argument in node.expressions:
            if not isinstance(argument, exp.Column) or len(argument.parts) != 1:
                raise FormulaError(f"'entropy_index' takes names of columns alone, not {written(argument)!r}.")
        names = [argument.name for argument in node.expressions]
        if len(names) < 2 or len(set(names)) < len(names):
            raise FormulaError("'entropy_index' takes two or more different columns.")

    def _year(self, node: exp.Bracket) -> None:
        index = node.expressions[0] if len(node.expressions) == 1 else None
        number = None if index is None else _number(index)
        if number is None or not (number in YEARS or -number in range(1, FARTHEST_LAG + 1)):
            raise FormulaError(f"{written(node)!r}: brackets hold a year, as x[2006], or years back, as x[-1].")
        if not isinstance(node.this, exp.Column):
            raise FormulaError(f"{written(node)!r}: brackets stand behind a name; write lag(…) for an expression.")
        self.value(node.this)


def _expanded(node: exp.Expr) -> exp.Expr:
    """``x[-1]``, ``difference`` and ``growth`` said by ``lag``, and every ``lag`` with its number of years."""

    def change(part: exp.Expr) -> exp.Expr:
        # what is put in the place of a part is not visited again
        if isinstance(part, exp.Bracket) and isinstance(part.expressions[0], exp.Neg):
            return exp.Lag(this=part.this, offset=part.expressions[0].this)
        if isinstance(part, exp.Lag):
            years = part.args.get("offset") or exp.Literal.number(1)
            return exp.Lag(this=_expanded(part.this), offset=_bare(years))
        if called(part) in ("difference", "growth"):
            now = _expanded(part.expressions[0])
            before = exp.Lag(this=now.copy(), offset=exp.Literal.number(1))
            if called(part) == "difference":
                return exp.paren(exp.Sub(this=_closed(now), expression=before))
            ratio = exp.Div(this=_closed(now), expression=before)
            return exp.paren(exp.Sub(this=ratio, expression=exp.Literal.number(1)))
        return part

    return node.transform(change)


class _Writer:
    """Writes a checked tree anew as SQL, with every column quoted and nothing of the text taken over."""

    def __init__(self, unit: str, time: str) -> None:
        self.unit, self.time = (exp.column(name, quoted=True) for name in (unit, time))

    def value(self, node: exp.Expr, back: int) -> exp.Expr:
        """A value of ``back`` years before."""
        match node:
            case exp.Literal():
                return node.copy()
            case exp.Column():
                return self._column(node.name, back)
            case exp.Paren():
                return exp.paren(self.value(node.this, back), copy=False)
            case exp.Neg():
                return exp.Neg(this=_closed(self.value(node.this, back)))
            case exp.Bracket():
                held = exp.column(node.this.name, quoted=True)
                there = exp.EQ(this=self.time.copy(), expression=node.expressions[0].copy())
                only = exp.Case(ifs=[exp.If(this=there, true=held)])
                return exp.Window(this=exp.Max(this=only), partition_by=[self.unit.copy()])
            case exp.Lag():
                return _closed(self.value(node.this, back + lagged(node)))
            case exp.Div():
                return exp.Div(this=self.value(node.this, back), expression=self._divisor(node.expression, back))
            case exp.Case():
                return self._case(node, back)
            case _ if isinstance(node, ARITHMETIC):
                return type(node)(this=self.value(node.this, back), expression=self.value(node.expression, back))
        return self._call(node, back)

    def condition(self, node: exp.Expr, back: int) -> exp.Expr:
        match node:
            case exp.Paren():
                return exp.paren(self.condition(node.this, back), copy=False)
            case exp.Not():
                return exp.Not(this=exp.paren(self.condition(node.this, back), copy=False))
            case exp.And() | exp.Or():
                return type(node)(
                    this=self.condition(node.this, back), expression=self.condition(node.expression, back)
                )
            case exp.Is():
                return exp.Is(this=_closed(self.value(node.this, back)), expression=exp.Null())
        return type(node)(this=self.value(node.this, back), expression=self.value(node.expression, back))

    def _column(self, name: str, back: int) -> exp.Expr:
        if name == YEAR:
            year = self.time.copy()
            return exp.paren(exp.Sub(this=year, expression=exp.Literal.number(back)), copy=False) if back else year
        column = exp.column(name, quoted=True)
        if not back:
            return column
        # by the year, not by the row: where the year before is not there, nor is its value
        spec = exp.WindowSpec(
            kind="RANGE",
            start=exp.Literal.number(back),
            start_side="PRECEDING",
            end=exp.Literal.number(back),
            end_side="PRECEDING",
        )
        order = exp.Order(expressions=[exp.Ordered(this=self.time.copy(), nulls_first=False)])
        return exp.Window(this=exp.Max(this=column), partition_by=[self.unit.copy()], order=order, spec=spec)

    def _divisor(self, node: exp.Expr, back: int) -> exp.Expr:
        divisor = self.value(node, back)
        if isinstance(_bare(divisor), exp.Literal):
            return divisor
        return exp.Nullif(this=_bare(divisor), expression=exp.Literal.number(0))

    def _case(self, node: exp.Case, back: int) -> exp.Expr:
        """A condition on what is missing is neither true nor false, and then neither is what follows from it known."""
        branches = []
        for branch in node.args["ifs"]:
            condition = self.condition(branch.this, back)
            unknown = exp.Is(this=exp.paren(condition), expression=exp.Null())
            branches += [exp.If(this=unknown, true=exp.Null())]
            branches += [exp.If(this=condition, true=self.value(branch.args["true"], back))]
        other = node.args.get("default")
        return exp.Case(ifs=branches, default=None if other is None else self.value(other, back))

    def _call(self, node: exp.Expr, back: int) -> exp.Expr:
        function = called(node)
        if function == "entropy_index" or function in DECLARING:
            raise FormulaError(f"{function!r} has no SQL of one row.")
        given = [self.value(argument, back) for argument in arguments(node)]
        if function in _INDICES:
            parameters, template = _INDICES[function]
            put = dict(zip(parameters, given, strict=True))
            return sqlglot.parse_one(template).transform(
                lambda part: _closed(put[part.name].copy()) if isinstance(part, exp.Column) else part
            )
        if function == "ln":
            above = exp.GT(this=_closed(given[0].copy()), expression=exp.Literal.number(0))
            return exp.Case(ifs=[exp.If(this=above, true=exp.Ln(this=given[0]))])
        made = type(node)(this=given[0], expressions=given[1:])
        if function == "coalesce":
            return made
        there = [
            exp.Not(this=exp.Is(this=_closed(value.copy()), expression=exp.Null()))
            for value in given
            if not isinstance(_bare(value), exp.Literal)
        ]
        made.set("ignore_nulls", True)
        return exp.Case(ifs=[exp.If(this=exp.and_(*there, copy=False), true=made)]) if there else made


def _adds_up(node: exp.Expr, constants: Collection[str]) -> bool:
    def is_constant(part: exp.Expr) -> bool:
        return _number(part) is not None or (isinstance(part, exp.Column) and part.name in constants)

    match node:
        case exp.Column():
            return node.name not in constants
        case exp.Paren() | exp.Neg() | exp.Lag() | exp.Bracket():
            return _adds_up(node.this, constants)
        case exp.Add() | exp.Sub():
            return _adds_up(node.this, constants) and _adds_up(node.expression, constants)
        case exp.Mul() if is_constant(node.this):
            return _adds_up(node.expression, constants)
        case exp.Mul() | exp.Div():
            return is_constant(node.expression) and _adds_up(node.this, constants)
    return False


def _bare(node: exp.Expr) -> exp.Expr:
    """An expression without the parentheses around it."""
    while isinstance(node, exp.Paren):
        node = node.this
    return node


def _closed(node: exp.Expr) -> exp.Expr:
    """An expression that can stand beside an operator."""
    return exp.paren(node, copy=False) if isinstance(node, (exp.Binary, exp.Neg, exp.Not)) else node


def _number(node: exp.Expr) -> float | None:
    """The number that a node is; None for what is no number."""
    node = _bare(node)
    if isinstance(node, exp.Neg):
        number = _number(node.this)
        return None if number is None else -number
    return float(node.this) if isinstance(node, exp.Literal) and not node.is_string else None


def _nearest(word: str, valid: Collection[str]) -> str:
    best = difflib.get_close_matches(word, sorted(valid), n=1, cutoff=0.5)
    return f"; the nearest is {best[0]!r}." if best else f"; there are {', '.join(sorted(valid)[:12])}."


def _circle(uses: Mapping[str, Collection[str]]) -> Iterator[str]:
    """A way round from a name back to it."""
    path = [next(iter(uses))]
    while path.count(path[-1]) == 1:
        path.append(sorted(name for name in uses[path[-1]] if name in uses)[0])
    yield from path[path.index(path[-1]) :]
