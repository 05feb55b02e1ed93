"""JMESPath expressions over one category of a snapshot, with one function more.

`words(a, b, …)` joins with a blank those of its arguments that are text, so that a person without
a family name is no error.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import jmespath
from jmespath import functions
from jmespath.exceptions import JMESPathError, JMESPathTypeError

from connector.errors import MappingError


class _Functions(functions.Functions):  # type: ignore[misc]  # jmespath ships no types
    @functions.signature({"types": ["string", "null"], "variadic": True})  # type: ignore[untyped-decorator]  # as above
    def _func_words(self, *parts: str | None) -> str | None:
        return " ".join(part.strip() for part in parts if part and part.strip()) or None


OPTIONS = jmespath.Options(custom_functions=_Functions())


class EvaluationError(ValueError):
    """The expression does not fit this person's data; the text names no value."""


@dataclass(frozen=True, slots=True)
class Expression:
    """A compiled expression: the names of fields it reads and of members it makes."""

    text: str
    names: frozenset[str]
    members: frozenset[str]
    _parsed: jmespath.parser.ParsedResult

    def evaluate(self, document: Mapping[str, object]) -> object:
        """Return what the expression finds, None for nothing.

        Raises:
            EvaluationError: a function was given what it does not take.
        """
        try:
            return self._parsed.search(document, options=OPTIONS)
        except JMESPathError as error:
            # The library's own text quotes the value.
            raise EvaluationError("the expression does not fit the data") from error


def compile_expression(text: str) -> Expression:
    """Compile an expression.

    Raises:
        MappingError: it is no JMESPath.
    """
    try:
        parsed = jmespath.compile(text)
        _try_out(parsed)
    except JMESPathError as error:
        raise MappingError(f"expr {text!r}: {type(error).__name__}") from error
    nodes = list(_nodes(parsed.parsed))
    return Expression(
        text=text,
        names=frozenset(str(node["value"]) for node in nodes if node["type"] == "field"),
        members=frozenset(str(node["value"]) for node in nodes if node["type"] == "key_val_pair"),
        _parsed=parsed,
    )


def _try_out(parsed: jmespath.parser.ParsedResult) -> None:
    """Find an unknown function or a wrong number of arguments, which only show when run."""
    with contextlib.suppress(JMESPathTypeError):
        parsed.search({}, options=OPTIONS)


def _nodes(node: Mapping[str, object]) -> Iterator[Mapping[str, object]]:
    yield node
    children = node["children"]
    for child in children if isinstance(children, list) else ():
        yield from _nodes(child)
