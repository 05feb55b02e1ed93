"""Does an answer match its agreement? For organisations as for us: pure, and without a store.

    terms = Terms.from_document(details)        as granted, or `/v1/grant`, or the agreement's text
    mismatches(answer, terms)                   of one page of `/v1/records`; nothing: it matches

What cannot be told from the answer alone is not judged: whether a value is as coarse as it should
be is up to the catalogue's schema of the form, and a date range is checked only where the caller
names the collection's range field. Codes are stable:

    asked, agreed         the manifest names other attributes than the agreement
    withheld              it withholds other items, or in another form, than the agreement says
    delivered             it claims other attributes than the records have
    absent                it calls something absent that is there, or for the wrong reason, or twice
    beyond-agreement      a record has an attribute that was not agreed
    record-not-shared     a record that is not among those shared
    out-of-range          a record from before the agreed start of its collection
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from consent.formats import fields
from consent.formats.canonical import JSONValue
from consent.formats.errors import MalformedError

# These go with any agreed attribute of a record, and are never agreed to by themselves.
COMPANIONS = frozenset({"label", "primary", "verified"})
BY_AGREEMENT = ("not_agreed", "coarsened")
ABSENCES = ("not_filled_in", "out_of_range")


@dataclass(frozen=True, slots=True)
class Mismatch:
    """One thing in which an answer differs from its agreement; no value is in `detail`."""

    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class Terms:
    """What an agreement says of its data.

    Attributes:
        attributes: what is shared.
        denied: what was asked for and is not.
        coarsenings: the form of what is shared coarsely.
        primary: collections of which the main record is shared.
        chosen: the ids of the records that are shared, of collections of which some are.
        data_from: the first day of collections with a range.
    """

    attributes: frozenset[str]
    denied: frozenset[str]
    coarsenings: Mapping[str, str]
    primary: frozenset[str]
    chosen: Mapping[str, frozenset[str]]
    data_from: Mapping[str, str]

    @classmethod
    def from_document(cls, document: Mapping[str, JSONValue]) -> Terms:
        """Read the terms of a granted authorization detail, of `/v1/grant` or of an agreement.

        Raises:
            MalformedError: a member breaks the form.
        """
        instances = {
            name: fields.mapping(which, f"instances.{name}")
            for name, which in _mapping(document, "instances").items()
        }
        return cls(
            attributes=frozenset(fields.distinct_texts(document.get("attributes"), "attributes")),
            denied=_denied(document),
            coarsenings=_texts(document, "coarsenings"),
            primary=frozenset(n for n, each in instances.items() if each.get("which") == "primary"),
            chosen={
                name: frozenset(fields.distinct_texts(each.get("records"), f"instances.{name}"))
                for name, each in instances.items()
                if each.get("which") == "chosen"
            },
            data_from=_texts(document, "data_from"),
        )

    def to_document(self) -> dict[str, JSONValue]:
        """Return what `from_document` reads."""
        instances: dict[str, JSONValue] = {n: {"which": "primary"} for n in sorted(self.primary)}
        for name, records in sorted(self.chosen.items()):
            instances[name] = {"which": "chosen", "records": [*sorted(records)]}
        return {
            "attributes": [*sorted(self.attributes)],
            "denied": [*sorted(self.denied)],
            "coarsenings": dict(self.coarsenings),
            "instances": instances,
            "data_from": dict(self.data_from),
        }

    def concerned(self, names: Iterable[str], collection: str | None) -> frozenset[str]:
        """Return those of some attributes that an answer about a collection, or all, is about."""
        return frozenset(n for n in names if collection in (None, n.partition(".")[0]))


def mismatches(
    answer: Mapping[str, JSONValue],
    terms: Terms,
    *,
    collection: str | None = None,
    range_fields: Mapping[str, str] | None = None,
) -> list[Mismatch]:
    """Return every difference between one page of records and the agreement it came under.

    Args:
        answer: the body of `GET /v1/records`, or of one record.
        terms: of the agreement version that the answer names.
        collection: what was asked for; None: all collections.
        range_fields: the field by which a collection's range is measured, where known.

    Raises:
        MalformedError: the answer breaks the form.
    """
    manifest = fields.mapping(answer.get("manifest"), "manifest")
    records = [
        _Record.read(each, f"records[{at}]")
        for at, each in enumerate(fields.items(answer.get("records"), "records"))
    ]
    return [
        *_of_manifest(manifest, terms, collection),
        *_of_delivery(manifest, records, terms, collection),
        *_of_records(records, terms, range_fields or {}),
    ]


@dataclass(frozen=True, slots=True)
class _Record:
    collection: str
    id: str
    names: frozenset[str]
    data: Mapping[str, JSONValue]

    @classmethod
    def read(cls, value: JSONValue, where: str) -> _Record:
        found = fields.mapping(value, where)
        gone = fields.boolean(found.get("deleted", False), f"{where}.deleted")
        data = {} if gone else fields.mapping(found.get("data"), f"{where}.data")
        return cls(
            fields.text(found.get("collection"), f"{where}.collection"),
            fields.text(found.get("id"), f"{where}.id"),
            frozenset(data),
            data,
        )


def _of_manifest(
    manifest: Mapping[str, JSONValue], terms: Terms, collection: str | None
) -> Iterator[Mismatch]:
    agreed = terms.concerned(terms.attributes, collection)
    for name, expected in (
        ("asked", agreed | terms.concerned(terms.denied, collection)),
        ("agreed", agreed),
    ):
        found = fields.distinct_texts(manifest.get(name), f"manifest.{name}")
        yield from _differ(name, frozenset(found), expected)
    by_agreement = {
        (name, "not_agreed", None) for name in terms.concerned(terms.denied, collection)
    } | {
        (name, "coarsened", terms.coarsenings[name])
        for name in terms.concerned(terms.coarsenings, collection)
    }
    withheld = [each for each in _withheld(manifest) if each[1] in BY_AGREEMENT]
    if len(withheld) != len(set(withheld)) or set(withheld) != by_agreement:
        names = sorted({each[0] for each in set(withheld) ^ by_agreement})
        yield Mismatch("withheld", f"not as agreed: {', '.join(names) or 'something twice'}")


def _of_delivery(
    manifest: Mapping[str, JSONValue],
    records: Iterable[_Record],
    terms: Terms,
    collection: str | None,
) -> Iterator[Mismatch]:
    there = {f"{each.collection}.{name}" for each in records for name in each.names}
    claimed = fields.distinct_texts(manifest.get("delivered"), "manifest.delivered")
    yield from _differ("delivered", frozenset(claimed), there & terms.attributes)
    absent = [each for each in _withheld(manifest) if each[1] not in BY_AGREEMENT]
    if len({name for name, _, _ in absent}) != len(absent):
        yield Mismatch("absent", "something is called absent twice")
    agreed = terms.concerned(terms.attributes, collection)
    for name, reason, _ in absent:
        is_partial = _is_partial(terms, name.partition(".")[0])
        if name in there or name not in agreed:
            yield Mismatch("absent", f"{name} is called {reason}")
        elif reason != ABSENCES[is_partial]:
            yield Mismatch("absent", f"{name} is called {reason}, not {ABSENCES[is_partial]}")


def _of_records(
    records: Iterable[_Record], terms: Terms, range_fields: Mapping[str, str]
) -> Iterator[Mismatch]:
    for each in records:
        for name in sorted(each.names - COMPANIONS):
            if f"{each.collection}.{name}" not in terms.attributes:
                yield Mismatch("beyond-agreement", f"{each.collection}.{name} in {each.id}")
        if not each.names:
            continue  # a record that is gone
        chosen = terms.chosen.get(each.collection)
        is_main = each.data.get("primary") is True
        if (chosen is not None and each.id not in chosen) or (
            each.collection in terms.primary and not is_main
        ):
            yield Mismatch("record-not-shared", f"{each.collection} {each.id}")
        first = terms.data_from.get(each.collection)
        at = each.data.get(range_fields.get(each.collection, ""))
        # A coarser form of the date begins as the date does.
        if first is not None and isinstance(at, str) and at[:10] < first[: len(at)]:
            yield Mismatch("out-of-range", f"{each.collection} {each.id}")


def _differ(code: str, found: frozenset[str], expected: Iterable[str]) -> Iterator[Mismatch]:
    wrong = sorted(found ^ frozenset(expected))
    if wrong:
        yield Mismatch(code, f"not as it should be: {', '.join(wrong)}")


def _is_partial(terms: Terms, collection: str) -> bool:
    return (
        collection in terms.primary or collection in terms.chosen or collection in terms.data_from
    )


def _withheld(document: Mapping[str, JSONValue]) -> list[tuple[str, str, str | None]]:
    found = []
    for at, value in enumerate(fields.items(document.get("withheld"), "withheld")):
        where = f"withheld[{at}]"
        each = fields.members(
            value, where, required=("attribute", "reason"), optional=("coarsening",)
        )
        reason = fields.text(each["reason"], f"{where}.reason")
        if reason not in (*BY_AGREEMENT, *ABSENCES):
            raise MalformedError(f"{where}.reason: no reason is called {reason!r}")
        found.append(
            (
                fields.text(each["attribute"], f"{where}.attribute"),
                reason,
                fields.optional(fields.text, each.get("coarsening"), f"{where}.coarsening"),
            )
        )
    return found


def _denied(document: Mapping[str, JSONValue]) -> frozenset[str]:
    if "denied" in document:
        return frozenset(fields.distinct_texts(document["denied"], "denied"))
    return frozenset(name for name, reason, _ in _withheld(document) if reason == "not_agreed")


def _mapping(document: Mapping[str, JSONValue], name: str) -> dict[str, JSONValue]:
    return fields.mapping(document.get(name, {}), name)


def _texts(document: Mapping[str, JSONValue], name: str) -> dict[str, str]:
    return {
        key: fields.text(value, f"{name}.{key}") for key, value in _mapping(document, name).items()
    }
