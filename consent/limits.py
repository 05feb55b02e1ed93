"""Fair use: how much may be asked for, for which purpose, how often and for how long (LEAD-6).

The table is `limits.yaml`. The same ceilings are held against a template as it is published,
against a request as it is pushed, and against the agreed terms at every read, so a table that
became stricter stops what was agreed under the old one. Pure.

Rules: `purpose.attributes`, `purpose.sensitive`, `purpose.collection`, `purpose.frequency`,
`purpose.data_range`, `purpose.duration`, `purpose.retention`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from typing import Any

from consent import durations
from consent.policy import Terms
from consent.vocabulary import Purpose
from pds.catalogue import CATALOGUE, Sensitivity
from pds.catalogue.files import read_yaml
from pds.errors import pointer


class Severity(StrEnum):
    """What follows from being above a limit."""

    REFUSED = "refused"
    FLAGGED = "flagged"


@dataclass(frozen=True, slots=True)
class Ceilings:
    """The most of everything; `data_range` is None where data may reach back for ever."""

    attributes: int
    sensitive: int
    fetches_per_day: int
    data_range: timedelta | None
    duration: timedelta
    retention: timedelta


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of one purpose; `never` are collections that it has no use for."""

    most: Ceilings
    usual: Ceilings
    never: frozenset[str]


@dataclass(frozen=True, slots=True)
class Extent:
    """How much is asked for or agreed; `on` is the day from which data reaches back."""

    purpose: Purpose
    attributes: tuple[str, ...]
    fetches_per_day: int
    data_from: Mapping[str, str]
    duration: timedelta
    retention: timedelta
    on: date

    @classmethod
    def of_template(cls, document: Mapping[str, Any], *, on: date) -> Extent:
        """Return the extent of a template that has the right form."""
        items = (*document["attributes"], *document["optional_attributes"])
        return cls(
            purpose=Purpose(document["purpose"]),
            attributes=tuple(item["name"] for item in items),
            fetches_per_day=document["access"]["fetches_per_day"],
            data_from=document["data_from"],
            duration=durations.parse(document["max_duration"]),
            retention=durations.parse(document["retention"]["after_end"]),
            on=on,
        )

    @classmethod
    def of_terms(cls, terms: Terms) -> Extent:
        """Return the extent of agreed terms; those that say nothing of retention have none.

        Raises:
            ValueError: the purpose or the retention is none.
        """
        return cls(
            purpose=Purpose(terms.purpose),
            attributes=tuple(terms.attributes),
            fetches_per_day=terms.fetches_per_day,
            data_from=terms.data_from,
            duration=terms.expires_at - terms.starts_at,
            retention=durations.parse(terms.retention) if terms.retention else timedelta(0),
            on=terms.starts_at.date(),
        )


@dataclass(frozen=True, slots=True)
class Finding:
    """One limit that is exceeded: where in a template, by which rule, and what to do."""

    severity: Severity
    pointer: str
    rule: str
    detail: str


def findings(extent: Extent) -> list[Finding]:
    """Return every limit that is exceeded; one that is refused is not flagged as well."""
    limits = LIMITS[extent.purpose]
    refused = [*_never(extent, limits), *_above(extent, limits.most, Severity.REFUSED)]
    known = {each.rule for each in refused}
    flagged = _above(extent, limits.usual, Severity.FLAGGED)
    return [*refused, *(each for each in flagged if each.rule not in known)]


def exceeded(extent: Extent) -> str:
    """Return the rule of the first limit that refuses, or the empty text."""
    refused = (each for each in findings(extent) if each.severity is Severity.REFUSED)
    return next((each.rule for each in refused), "")


def public() -> dict[str, Any]:
    """Return the table as it is published."""
    return {purpose.value: _TABLE[purpose.value] for purpose in Purpose}


def _never(extent: Extent, limits: Limits) -> Iterator[Finding]:
    asked = dict.fromkeys(name.partition(".")[0] for name in extent.attributes)
    for name in asked:
        if name in limits.never:
            yield Finding(
                Severity.REFUSED,
                "/attributes",
                "purpose.collection",
                f"{extent.purpose.value} has no use for {name}; leave it out",
            )


def _above(extent: Extent, ceilings: Ceilings, severity: Severity) -> Iterator[Finding]:
    def counted(where: str, rule: str, found: int, most: int) -> Iterator[Finding]:
        if found > most:
            detail = f"{found} where {extent.purpose.value} {_allows(severity)} at most {most}"
            yield Finding(severity, where, f"purpose.{rule}", detail)

    sensitive = sum(_is_sensitive(name) for name in extent.attributes)
    yield from counted("/attributes", "attributes", len(extent.attributes), ceilings.attributes)
    yield from counted("/attributes", "sensitive", sensitive, ceilings.sensitive)
    yield from counted(
        "/access/fetches_per_day", "frequency", extent.fetches_per_day, ceilings.fetches_per_day
    )
    yield from _reaching_back(extent, ceilings, severity)
    yield from counted("/max_duration", "duration", extent.duration.days, ceilings.duration.days)
    yield from counted(
        "/retention/after_end", "retention", extent.retention.days, ceilings.retention.days
    )


def _reaching_back(extent: Extent, ceilings: Ceilings, severity: Severity) -> Iterator[Finding]:
    if ceilings.data_range is None:
        return
    first = (extent.on - ceilings.data_range).isoformat()
    for name in dict.fromkeys(name.partition(".")[0] for name in extent.attributes):
        if CATALOGUE.collection(name).range_field is None:
            continue
        if extent.data_from.get(name, "") < first:
            detail = f"{extent.purpose.value} {_allows(severity)} data from {first} on"
            yield Finding(severity, pointer("data_from", name), "purpose.data_range", detail)


def _allows(severity: Severity) -> str:
    return "allows" if severity is Severity.REFUSED else "usually needs"


def _is_sensitive(name: str) -> bool:
    return CATALOGUE.attribute(name).sensitivity is Sensitivity.SENSITIVE


def _ceilings(source: Mapping[str, Any]) -> Ceilings:
    within = source["data_range"]
    return Ceilings(
        attributes=int(source["attributes"]),
        sensitive=int(source["sensitive"]),
        fetches_per_day=int(source["fetches_per_day"]),
        data_range=None if within is None else durations.parse(within),
        duration=durations.parse(source["duration"]),
        retention=durations.parse(source["retention"]),
    )


def _read() -> Mapping[str, Any]:
    found = read_yaml("limits.yaml", package="consent")
    if not isinstance(found, Mapping):
        raise TypeError("limits.yaml is no mapping")
    return found


_TABLE = _read()
LIMITS: Mapping[Purpose, Limits] = {
    Purpose(name): Limits(
        _ceilings(each["most"]), _ceilings(each["usual"]), frozenset(each["never"])
    )
    for name, each in _TABLE.items()
}
