"""Mapping rules, and what they make of a snapshot.

The document of a category, which expressions see: the members of its first record, and `records`,
the list of all of them. Primary records come first, then those with lower ids, so that `[0]` is
the same one each time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from connector.crm.base import Value
from connector.mapping.expressions import EvaluationError, Expression
from connector.mapping.transforms import TRANSFORMS, TransformError
from connector.pds.models import Record, Snapshot


class Conflict(StrEnum):
    """Who is right where the CRM holds something else than what we wrote (CON-37)."""

    VAULT_WINS = "vault_wins"  # overwrite, and note it in the audit trail
    FILL_EMPTY = "fill_empty"  # write only where the CRM holds nothing
    CRM_WINS = "crm_wins"  # write only where the CRM holds nothing or still what we wrote


@dataclass(frozen=True, slots=True)
class MapRule:
    """One `[[map]]` table of the configuration."""

    category: str
    object: str
    field: str
    expression: Expression
    transforms: Sequence[str]
    conflict: Conflict


@dataclass(frozen=True, slots=True)
class Desired:
    """What a field should hold, and the rule that says so."""

    rule: MapRule
    value: Value = field(repr=False)


@dataclass(frozen=True, slots=True)
class Invalid:
    """A field whose value the rule cannot take; `problem` names no value."""

    field: str
    problem: str


@dataclass(frozen=True, slots=True)
class Mapped:
    """A snapshot in the CRM's terms: fields with a value, and fields that cannot have one."""

    desired: Mapping[str, Desired]
    invalid: Sequence[Invalid]


def apply_rules(rules: Sequence[MapRule], snapshot: Snapshot) -> Mapped:
    """Map a snapshot; a category that the agreement does not name is dropped (CON-33)."""
    documents = _documents(snapshot)
    desired: dict[str, Desired] = {}
    invalid: list[Invalid] = []
    for rule in rules:
        document = documents.get(rule.category)
        if document is None:
            continue
        try:
            value = _value(rule, document)
        except (EvaluationError, TransformError) as error:
            invalid.append(Invalid(rule.field, str(error)))
            continue
        if value is not None:
            desired[rule.field] = Desired(rule, value)
    return Mapped(desired, invalid)


def touched_by(rules: Sequence[MapRule], removed: frozenset[str]) -> list[MapRule]:
    """Return the rules that read one of these attributes (`collection.name`)."""
    return [
        rule
        for rule in rules
        if any(f"{rule.category}.{name}" in removed for name in rule.expression.names)
    ]


def _documents(snapshot: Snapshot) -> dict[str, Mapping[str, object]]:
    agreed = {attribute.partition(".")[0] for attribute in snapshot.agreed}
    collections: dict[str, list[Record]] = {}
    for record in sorted(snapshot.records, key=_rank):
        if record.collection in agreed:
            collections.setdefault(record.collection, []).append(record)
    return {
        collection: {**records[0].data, "records": [record.data for record in records]}
        for collection, records in collections.items()
    }


def _rank(record: Record) -> tuple[bool, str]:
    return (record.data.get("primary") is not True, record.id)


def _value(rule: MapRule, document: Mapping[str, object]) -> Value:
    found = rule.expression.evaluate(document)
    if isinstance(found, dict):
        members = {name: _scalar(value) for name, value in found.items()}
        return {name: value for name, value in members.items() if value is not None} or None
    value = _scalar(found)
    for name in rule.transforms:
        if value is None:
            return None
        if not isinstance(value, str):
            raise TransformError("not a text")
        value = TRANSFORMS[name](value)
    return value


def _scalar(value: object) -> str | int | bool | None:
    if isinstance(value, str):
        return value.strip() or None
    if value is None or isinstance(value, bool | int):
        return value
    raise EvaluationError("the expression finds a list or a fraction, not one value")
