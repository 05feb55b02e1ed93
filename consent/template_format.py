"""The form of a template: uniform members, few variants, and what may stand in each.

    pds-template/2   all members of `_MEMBERS`; items may name coarser forms; cites the clauses
    pds-template/1   without `clauses`, `instances` and coarser forms; read, no longer published

Pure but for the catalogue. What is wrong comes as issues whose `field` is a JSON pointer
(RFC 6901) into the document.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import fastjsonschema

from consent import clauses, durations
from consent.vocabulary import AccessMode, Action, Instances, LawfulBasis, Purpose
from pds.catalogue import CATALOGUE, Attribute, Cardinality
from pds.errors import Issue, NotFoundError, pointer

TYPE = "pds-template"
VERSION = f"{TYPE}/2"
PURPOSE_TEXT_CHARACTERS = 160  # CUX-2

_WORDING: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["az", "en"],
    "properties": {
        "az": {"type": "string", "minLength": 1, "maxLength": 600},
        "en": {"type": "string", "minLength": 1, "maxLength": 600},
    },
}
_UUID = {"type": "string", "pattern": "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"}
_NAME = {"pattern": "^[a-z_]+$"}
_ATTRIBUTES: dict[str, Any] = {
    "type": "array",
    "maxItems": 60,
    "items": {
        "type": "object",
        "additionalProperties": False,
        "required": ["name", "reason"],
        "properties": {
            "name": {"type": "string"},
            "reason": _WORDING,
            # The form that is asked for; absent: the value itself.
            "coarsened_to": {"type": "string"},
            # Coarser forms that will do instead of the one asked for.
            "coarsenings": {"type": "array", "uniqueItems": True, "items": {"type": "string"}},
        },
    },
}
_MEMBERS: dict[str, Any] = {
    "type": {"const": VERSION},
    "id": _UUID,
    "version": {"type": "integer", "minimum": 1},
    "organisation": _UUID,
    "name": _WORDING,
    "purpose": {"enum": [purpose.value for purpose in Purpose]},
    "purpose_text": _WORDING,
    "lawful_basis": {"enum": [basis.value for basis in LawfulBasis]},
    "attributes": _ATTRIBUTES,
    "optional_attributes": _ATTRIBUTES,
    "actions": {
        "type": "array",
        "minItems": 1,
        "uniqueItems": True,
        "items": {"enum": [action.value for action in Action]},
    },
    "access": {
        "type": "object",
        "additionalProperties": False,
        "required": ["mode", "fetches_per_day"],
        "properties": {
            "mode": {"enum": [mode.value for mode in AccessMode]},
            "fetches_per_day": {"type": "integer", "minimum": 1, "maximum": 1440},
        },
    },
    # By collection; one that is not named: all its records.
    "instances": {
        "type": "object",
        "propertyNames": _NAME,
        "additionalProperties": {"enum": [Instances.ALL.value, Instances.PRIMARY.value]},
    },
    "data_from": {
        "type": "object",
        "propertyNames": _NAME,
        "additionalProperties": {"type": "string", "format": "date"},
    },
    "max_duration": {"type": "string"},
    "retention": {
        "type": "object",
        "additionalProperties": False,
        "required": ["after_end", "text"],
        "properties": {"after_end": {"type": "string"}, "text": _WORDING},
    },
    "storage_location": {"type": "string", "minLength": 2, "maxLength": 80},
    "recipients": {
        "type": "array",
        "maxItems": 20,
        "uniqueItems": True,
        "items": {"type": "string", "minLength": 2, "maxLength": 200},
    },
    "automated_decisions": {"type": "boolean"},
    "if_refused": _WORDING,
    "complaint": _WORDING,
    "jurisdiction": {"type": "string", "pattern": "^[A-Z]{2}$"},
    "clauses": {"type": "string"},
}
_check_shape: Callable[[object], object] = fastjsonschema.compile(
    {
        "type": "object",
        "additionalProperties": False,
        "required": list(_MEMBERS),
        "properties": _MEMBERS,
    },
    use_default=False,
)
_WORDINGS = ("name", "purpose_text", "if_refused", "complaint")


def issues(document: object) -> list[Issue]:
    """Return everything that is wrong with a template's form and words; nothing: it may be signed.

    A document of the wrong shape gives its first fault only.
    """
    try:
        _check_shape(document)
    except fastjsonschema.JsonSchemaValueException as exc:
        where = pointer(*exc.path[1:]) if len(exc.path) > 1 else ""
        return [Issue(where or "/", exc.rule or "shape", _what_to_do(exc))]
    if not isinstance(document, dict):  # the shape says so; the type checker does not know
        return []
    return [
        *_items(document),
        *_durations(document),
        *_contradictions(document),
        *_ranges(document),
        *_instances(document),
        *_clauses(document),
    ]


def items(document: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any], Attribute]]:
    """Yield pointer, item and attribute of what is asked for, required ones first.

    What the catalogue does not have is passed over.
    """
    for member in ("attributes", "optional_attributes"):
        for position, item in enumerate(document[member]):
            try:
                yield pointer(member, position), item, CATALOGUE.attribute(item["name"])
            except NotFoundError:
                continue


def _what_to_do(exc: fastjsonschema.JsonSchemaValueException) -> str:
    place = pointer(*exc.path[1:]) or "the template"
    return exc.message.replace(exc.name or "data", place, 1)


def _items(document: Mapping[str, Any]) -> Iterator[Issue]:
    seen: set[str] = set()
    for member in ("attributes", "optional_attributes"):
        for position, item in enumerate(document[member]):
            name, where = item["name"], pointer(member, position, "name")
            if name in seen:
                yield Issue(where, "twice", f"{name!r} is asked for twice; name it once")
            seen.add(name)
            try:
                attribute = CATALOGUE.attribute(name)
            except NotFoundError:
                detail = f"the catalogue has no {name!r}; choose from /v1/catalogue"
                yield Issue(where, "unknown_attribute", detail)
            else:
                yield from _forms(item, attribute, pointer(member, position))


def _forms(item: Mapping[str, Any], attribute: Attribute, where: str) -> Iterator[Issue]:
    known = ", ".join(attribute.coarsenings) or "none"
    asked = item.get("coarsened_to")
    if asked is not None and asked not in attribute.coarsenings:
        detail = f"{asked!r} is no coarser form of it; it has: {known}"
        yield Issue(f"{where}/coarsened_to", "unknown_coarsening", detail)
    for position, name in enumerate(item.get("coarsenings", [])):
        place = f"{where}/coarsenings/{position}"
        if name not in attribute.coarsenings:
            detail = f"{name!r} is no coarser form of it; it has: {known}"
            yield Issue(place, "unknown_coarsening", detail)
        elif name == asked:
            yield Issue(place, "twice", "it is what is asked for already; leave it out here")


def _durations(document: Mapping[str, Any]) -> Iterator[Issue]:
    for where, value in (
        ("/max_duration", document["max_duration"]),
        ("/retention/after_end", document["retention"]["after_end"]),
    ):
        try:
            durations.parse(value)
        except ValueError as exc:
            yield Issue(where, "duration", str(exc))


def _contradictions(document: Mapping[str, Any]) -> Iterator[Issue]:
    if Action.READ in document["actions"] and not (
        document["attributes"] or document["optional_attributes"]
    ):
        yield Issue("/attributes", "empty", "reading needs at least one attribute")
    for locale in ("az", "en"):
        if len(document["purpose_text"][locale]) > PURPOSE_TEXT_CHARACTERS:
            yield Issue(
                pointer("purpose_text", locale),
                "too_long",
                f"say it in one sentence of at most {PURPOSE_TEXT_CHARACTERS} characters",
            )
    for member in _WORDINGS:
        for locale, words in document[member].items():
            if not words.strip():
                yield Issue(pointer(member, locale), "blank", "write words, not spaces")


def _collections(document: Mapping[str, Any]) -> set[str]:
    return {attribute.collection for _, _, attribute in items(document)}


def _ranges(document: Mapping[str, Any]) -> Iterator[Issue]:
    asked = _collections(document)
    for name in document["data_from"]:
        if name not in asked:
            detail = "nothing of this collection is asked for; leave it out"
            yield Issue(pointer("data_from", name), "no_range", detail)
        elif CATALOGUE.collection(name).range_field is None:
            yield Issue(
                pointer("data_from", name), "no_range", "it has no data range; leave it out"
            )


def _instances(document: Mapping[str, Any]) -> Iterator[Issue]:
    asked = _collections(document)
    for name, which in document["instances"].items():
        where = pointer("instances", name)
        if name not in asked:
            yield Issue(where, "not_asked", "nothing of this collection is asked for; leave it out")
            continue
        collection = CATALOGUE.collection(name)
        if collection.cardinality is Cardinality.ONE:
            yield Issue(where, "only_one", "a vault has one record of this; leave it out")
        elif which == Instances.PRIMARY and "primary" not in collection.companions:
            yield Issue(where, "no_primary", "none of its records can be the main one; use 'all'")


def _clauses(document: Mapping[str, Any]) -> Iterator[Issue]:
    if document["clauses"] != clauses.CURRENT.sha256:
        detail = f"cite the uniform clauses in force: {clauses.CURRENT.sha256}"
        yield Issue("/clauses", "not_current", detail)
