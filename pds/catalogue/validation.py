"""Checking and normalising a record's data against its collection."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import TYPE_CHECKING

import fastjsonschema

from pds.catalogue.kinds import RULES_OF_PATTERN, RefusedError, normalise
from pds.catalogue.messages import issue
from pds.errors import Issue, ValidationFailedError

if TYPE_CHECKING:
    from pds.catalogue.model import Attribute, Collection

_Validator = Callable[[object], object]

_RULES = {"type": "type", "enum": "option", "uniqueItems": "duplicate"}
_LIMITS = {
    "minLength": ("too_short", "min"),
    "maxLength": ("too_long", "max"),
    "maxItems": ("too_many", "max"),
}


def validate(collection: Collection, data: Mapping[str, object]) -> dict[str, object]:
    """Return a normalised copy of `data`; see `Collection.validate`."""
    normal, issues = _normalised(collection, data)
    if not issues:
        try:
            _record_validator(collection)(normal)
        except fastjsonschema.JsonSchemaValueException:
            # The compiled schema stops at the first fault; a form needs all of them.
            issues = _faults(collection, normal)
    if issues:
        raise ValidationFailedError(issues)
    return normal


def _normalised(
    collection: Collection, data: Mapping[str, object]
) -> tuple[dict[str, object], list[Issue]]:
    normal: dict[str, object] = {}
    issues = [
        issue(collection, str(name)[:50], "unknown")
        for name in data
        if name not in collection.fields
    ]
    for name, attribute in collection.fields.items():
        if data.get(name) is None:
            continue
        try:
            value = normalise(attribute.kind, data[name], of=attribute.of)
        except RefusedError as refused:
            issues.append(issue(collection, name, refused.rule))
        else:
            if value is not None:
                normal[name] = value
    return normal, issues


def _faults(collection: Collection, normal: Mapping[str, object]) -> list[Issue]:
    found = [
        issue(collection, name, "required")
        for name, attribute in collection.attributes.items()
        if attribute.required and name not in normal
    ]
    for name, value in normal.items():
        try:
            _attribute_validator(collection.fields[name])(value)
        except fastjsonschema.JsonSchemaValueException as fault:
            found.append(_issue_of(collection, collection.fields[name], fault))
    if sum(name in normal for name in collection.exactly_one_of) != bool(collection.exactly_one_of):
        found.append(issue(collection, collection.exactly_one_of[0], "exactly_one_of"))
    if collection.any_of and not any(name in normal for name in collection.any_of):
        found.append(issue(collection, collection.any_of[0], "any_of"))
    return found


def _issue_of(
    collection: Collection, attribute: Attribute, fault: fastjsonschema.JsonSchemaValueException
) -> Issue:
    if fault.rule in _LIMITS:
        rule, bound = _LIMITS[fault.rule]
        return issue(collection, attribute.name, rule, **{bound: fault.rule_definition})
    if fault.rule == "format":
        return issue(collection, attribute.name, attribute.kind)
    if attribute.kind == "money" or fault.rule == "pattern":
        return issue(collection, attribute.name, RULES_OF_PATTERN.get(attribute.kind, "pattern"))
    return issue(collection, attribute.name, _RULES.get(str(fault.rule), "type"))


@cache
def _record_validator(collection: Collection) -> _Validator:
    compiled: _Validator = fastjsonschema.compile(collection.schema(), use_default=False)
    return compiled


@cache
def _attribute_validator(attribute: Attribute) -> _Validator:
    compiled: _Validator = fastjsonschema.compile(dict(attribute.schema), use_default=False)
    return compiled
