"""Does the mapping fit the CRM? Asked before any write: an unknown field may be a 500 (CON-10)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from connector.crm.base import FieldSchema, ObjectSchema, split_field
from connector.mapping.rules import MapRule


def lint(rules: Sequence[MapRule], schemas: Mapping[str, ObjectSchema]) -> list[str]:
    """Return what is wrong with the mapping, one sentence each; nothing means it fits."""
    problems = [] if rules else ["there is no [[map]]: nothing would be written"]
    places = Counter((rule.object, rule.field) for rule in rules)
    repeated = [(field, count) for (_, field), count in places.items() if count > 1]
    problems += [f"{field}: mapped {count} times" for field, count in repeated]
    for rule in rules:
        problem = _problem(rule, schemas[rule.object])
        if problem is not None:
            problems.append(f"{rule.object} {rule.field}: {problem}")
    return problems


def _problem(rule: MapRule, schema: ObjectSchema) -> str | None:
    if not schema.fields:
        return "the CRM has no such object"
    base, mark = split_field(rule.field)
    field = schema.fields.get(base)
    if field is None:
        return "the CRM has no such field"
    if not field.is_writable:
        return "the field is read-only"
    if field.kind == "rows":
        return _row_problem(field, mark, rule.expression.members)
    return None if mark is None else "the field has no rows: leave the [...] out"


def _row_problem(field: FieldSchema, mark: str | None, members: frozenset[str]) -> str | None:
    if not mark:
        return "name the row: field[mark]"
    kind = mark.partition(":")[0]
    if field.keys is not None and kind not in field.keys:
        return f"rows are one of {', '.join(sorted(field.keys))}"
    return _member_problem(field.members, members)


def _member_problem(known: frozenset[str] | None, made: frozenset[str]) -> str | None:
    if known is None:
        return "a row is one text here, not an object" if made else None
    if not made:
        return "a row is an object here: write {member: …}"
    unknown = sorted(made - known)
    return f"rows have no {', '.join(unknown)}" if unknown else None
