"""The small language in which a claim's criterion is written.

A criterion is one line of a claim's record, such as ``slope = 1 +- 0.1~`` or
``exponent_n < 0.3 and 0.8 <= exponent_k <= 1.2``. The whole grammar:

.. code-block:: text

    criterion  =  condition { "and" condition }
    condition  =  name "=" number [ "+-" tolerance ]        x = 1 +- 0.1~       a target and its tolerance
               |  name "in" "[" limit "," limit "]"         x in [5, 10]
               |  name relation limit                       x >= 2/3
               |  limit relation name [ relation limit ]    0.8 <= x <= 1.2
    relation   =  "<" | "<=" | ">" | ">="
    limit      =  number                                    a limit that never scales
               |  number ( "+" | "-" ) tolerance "~"        x >= 1 - 0.05~      one-sided tolerance about 1
               |  tolerance "~"                             x < 0.03~           tolerance about 0
    number     =  [ "-" ] decimal [ "/" decimal ]           0.3   -1   2/3   1e-9

A ``~`` marks a tolerance: the number that half and double tolerance scale. The number after ``+-`` is always
one, with or without ``~``. A name is a lower-case word with digits and underscores. There is no arithmetic
between quantities: what is compared is measured as one quantity (a difference, a ratio).
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Literal

from bindery.claims.bounds import Bound, Criterion

__all__ = ["Criterion", "CriterionError", "parse"]

_TOKEN = re.compile(
    r"\s*(?:(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)"
    r"|(?P<name>[a-z][a-z0-9_]*)"
    r"|(?P<symbol><=|>=|\+-|[<>=+\-/~\[\],]))"
)
_RELATIONS = ("<", "<=", ">", ">=")


class CriterionError(ValueError):
    """A criterion that does not follow the grammar; the message holds the column and what was expected."""


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str
    column: int


class _Parser:
    """Recursive descent over the grammar in the module's docstring, one method a rule."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = self._tokens()
        self.at = 0

    def _tokens(self) -> list[_Token]:
        tokens, position = [], 0
        end = len(self.text.rstrip())
        while position < end:
            match = _TOKEN.match(self.text, position)
            if match is None:
                position += len(self.text[position:]) - len(self.text[position:].lstrip())
                raise CriterionError(
                    f"criterion {self.text!r}: column {position + 1} holds {self.text[position]!r}, "
                    "expected a number, a quantity in lower case, a relation, '+-', '~', '[', ',' or ']'"
                )
            kind = str(match.lastgroup)
            word = match.group(kind)
            if word in {"and", "in"}:
                kind = "symbol"
            tokens.append(_Token(kind, word, match.start(kind) + 1))
            position = match.end()
        tokens.append(_Token("end", "", end + 1))
        return tokens

    def fail(self, expected: str, token: _Token | None = None) -> CriterionError:
        token = token or self.tokens[self.at]
        found = "the end" if token.kind == "end" else repr(token.text)
        return CriterionError(
            f"criterion {self.text!r}: column {token.column} holds {found}, expected {expected}"
        )

    def peek(self, *words: str) -> bool:
        token = self.tokens[self.at]
        return token.kind == "symbol" and token.text in words

    def take(self, kind: str, expected: str, *words: str) -> _Token:
        token = self.tokens[self.at]
        if token.kind != kind or (words and token.text not in words):
            raise self.fail(expected)
        self.at += 1
        return token

    def criterion(self) -> Criterion:
        bounds = self.condition()
        while self.peek("and"):
            self.at += 1
            bounds += self.condition()
        if self.tokens[self.at].kind != "end":
            raise self.fail("'and' or the end")
        criterion = Criterion(self.text.strip(), tuple(bounds))
        for name in criterion.quantities:
            above, above_open, below, below_open = criterion._allowed(name)
            if above > below or (above == below and (above_open or below_open)):
                raise CriterionError(f"criterion {self.text!r}: no value of {name} can satisfy it")
        return criterion

    def condition(self) -> list[Bound]:
        if self.tokens[self.at].kind == "name":
            name = self.take("name", "a quantity").text
            if self.peek("="):
                return self.target(name)
            if self.peek("in"):
                return self.inside(name)
            relation = self.take("symbol", "a relation, '=' or 'in'", *_RELATIONS)
            return [self.limit(name, relation.text)]
        return self.chain()

    def target(self, name: str) -> list[Bound]:
        self.at += 1
        centre, tolerance = self.number(), 0.0
        if self.peek("+-"):
            self.at += 1
            tolerance = self.tolerance()
            if self.peek("~"):
                self.at += 1
        return [
            Bound(name, "above", strict=False, centre=centre, tolerance=tolerance),
            Bound(name, "below", strict=False, centre=centre, tolerance=tolerance),
        ]

    def inside(self, name: str) -> list[Bound]:
        self.at += 1
        self.take("symbol", "'['", "[")
        low = self.limit(name, ">=")
        self.take("symbol", "','", ",")
        high = self.limit(name, "<=")
        self.take("symbol", "']'", "]")
        return [low, high]

    def chain(self) -> list[Bound]:
        start = self.at
        # The left limit is read twice: only the relation behind it says on which side it lies.
        self.side_free_limit()
        relation = self.take("symbol", "a relation", *_RELATIONS).text
        name = self.take("name", "a quantity").text
        behind, self.at = self.at, start
        mirrored = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}[relation]
        bounds = [self.limit(name, mirrored)]
        self.at = behind
        if self.peek(*_RELATIONS):
            token = self.take("symbol", "a relation", *_RELATIONS)
            if token.text[0] != relation[0]:
                raise self.fail(f"'{relation[0]}' or '{relation[0]}=', as on the left of {name}", token)
            bounds.append(self.limit(name, token.text))
        return bounds

    def side_free_limit(self) -> tuple[float, float]:
        """Read a limit as (what never scales, the signed tolerance)."""
        value = self.number()
        if self.peek("~"):
            self.at += 1
            return 0.0, value
        if self.peek("+", "-"):
            sign = 1.0 if self.take("symbol", "a sign").text == "+" else -1.0
            tolerance = self.tolerance()
            self.take("symbol", "'~' after the tolerance", "~")
            return value, sign * tolerance
        return value, 0.0

    def limit(self, name: str, relation: str) -> Bound:
        token = self.tokens[self.at]
        centre, tolerance = self.side_free_limit()
        side: Literal["below", "above"] = "below" if relation[0] == "<" else "above"
        outward = tolerance if side == "below" else -tolerance
        if outward < 0:
            raise self.fail(
                f"a tolerance that loosens the criterion as it grows (here it tightens: write "
                f"'1 {'+' if side == 'below' else '-'} 0.1~' for a tolerance about 1, or leave out '~')",
                token,
            )
        return Bound(name, side, strict=len(relation) == 1, centre=centre, tolerance=outward)

    def tolerance(self) -> float:
        token = self.tokens[self.at]
        value = self.unsigned()
        if value == 0:
            raise self.fail("a tolerance above 0", token)
        return value

    def number(self) -> float:
        sign = 1.0
        if self.peek("-"):
            self.at += 1
            sign = -1.0
        return sign * self.unsigned()

    def unsigned(self) -> float:
        token = self.take("number", "a number")
        value = float(token.text)
        if self.peek("/"):
            self.at += 1
            divisor = self.take("number", "a number")
            if float(divisor.text) == 0:
                raise self.fail("a divisor other than 0", divisor)
            value /= float(divisor.text)
        if not math.isfinite(value):
            raise self.fail("a number that a float64 can hold", token)
        return value


def parse(text: str) -> Criterion:
    """Read a criterion.

    Args:
        text: One line in the grammar of this module.

    Returns:
        The criterion, ready to be evaluated on intervals.

    Raises:
        TypeError: ``text`` is not a string.
        CriterionError: It does not follow the grammar, or nothing can satisfy it.

    >>> parse("0.8 <= slope <= 1.2 and gap < 0.03~").quantities
    ('slope', 'gap')
    >>> parse("slope << 1")
    Traceback (most recent call last):
    bindery.claims.criterion.CriterionError: criterion 'slope << 1': column 8 holds '<', expected a number
    """
    if not isinstance(text, str):
        raise TypeError(f"text was {text!r}; a criterion must be a string")
    return _Parser(text).criterion()
