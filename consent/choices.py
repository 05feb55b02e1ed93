"""What a person may choose on a consent page, and what their choice makes of an ask (LEAD-5).

Pure. The offer is part of the notice, so that its hash covers it (P-28); a choice outside it
decides nothing and names the form's field. What is not chosen is as asked; optional items are left
out. Whatever is chosen is at most what was asked (P-27).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from uuid import UUID

from consent import durations
from consent.asks import Ask
from consent.vocabulary import AccessMode, Action, Instances
from pds.catalogue import CATALOGUE, Cardinality
from pds.errors import Issue, ValidationFailedError

FREQUENCIES = (1, 4, 24, 96, 288)  # fetches of a day that are offered below the one asked for
NOT_OFFERED = "This was not offered; choose from the list."


@dataclass(frozen=True, slots=True)
class Choice:
    """What the person chose on the consent page; `notice_sha256` is what they saw (P-28).

    Attributes:
        notice_sha256: of the notice as shown.
        locale: `az` or `en`.
        optional: optional attributes that are shared too.
        duration: such as `P30D`.
        fetches_per_day: None: as asked.
        coarsenings: the coarser form of some attributes; the others are in the form asked for.
        instances: which records, for some collections with many; the others are as asked.
        records: the records of each collection whose `instances` are `chosen`.
    """

    notice_sha256: str
    locale: str
    optional: frozenset[str] = frozenset()
    duration: str = ""
    fetches_per_day: int | None = None
    coarsenings: Mapping[str, str] = field(default_factory=dict)
    instances: Mapping[str, str] = field(default_factory=dict)
    records: Mapping[str, frozenset[UUID]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Agreed:
    """What an ask and a choice make together.

    Attributes:
        attributes: what is shared, required items first, in the order of the ask.
        denied: asked for and not shared.
        duration: such as `P30D`.
        fetches_per_day: at most the one asked for.
        coarsenings: the form of what is shared coarsely.
        primary: collections of which only the main record is shared, sorted.
        chosen: the records that are shared, of collections of which only some are.
        is_narrowed: whether it is less than was asked.
    """

    attributes: tuple[str, ...]
    denied: tuple[str, ...]
    duration: str
    fetches_per_day: int
    coarsenings: Mapping[str, str]
    primary: tuple[str, ...]
    chosen: Mapping[str, frozenset[UUID]]
    is_narrowed: bool


def frequencies(ask: Ask) -> list[int]:
    """Return how many fetches of a day may be chosen; the asked number comes last."""
    access = ask.template.document["access"]
    most = int(access["fetches_per_day"])
    if access["mode"] == AccessMode.ONCE:
        return [most]  # it is fetched once, however often the day allows it to be tried
    return [each for each in FREQUENCIES if each < most] + [most]


def coarsenings(ask: Ask, attribute: str) -> tuple[str, ...]:
    """Return the coarser forms that may be chosen instead of the one asked for."""
    return ask.template.coarsenings(attribute) if Action.READ in ask.actions else ()


def instances(ask: Ask) -> dict[str, list[str]]:
    """Return, for collections of which less than all may be shared, what may be chosen.

    What is asked for comes first.
    """
    offered = {}
    for name in sorted({each.partition(".")[0] for each in (*ask.required, *ask.optional)}):
        collection = CATALOGUE.collection(name)
        if collection.cardinality is Cardinality.ONE or Action.READ not in ask.actions:
            continue
        asked = ask.template.instances(name)
        options = [asked]
        if asked is Instances.ALL and "primary" in collection.companions:
            options.append(Instances.PRIMARY)
        # A data range says which of the many; hundreds of bookings are not picked one by one.
        if asked is Instances.ALL and collection.range_field is None:
            options.append(Instances.CHOSEN)
        if options != [Instances.ALL]:
            offered[name] = [each.value for each in options]
    return offered


def agree(ask: Ask, choice: Choice) -> Agreed:
    """Return what is agreed.

    Raises:
        ValidationFailedError: with an issue for each field whose choice was not offered.
    """
    issues = [*_issues(ask, choice)]
    attributes = (*ask.required, *(name for name in ask.optional if name in choice.optional))
    if not issues and not attributes:
        issues.append(Issue("attributes", "nothing_chosen", "Tick at least one item, or refuse."))
    if issues:
        raise ValidationFailedError(issues)
    shared = {name.partition(".")[0] for name in attributes}
    which = {name: options[0] for name, options in instances(ask).items()}
    which |= {name: each for name, each in choice.instances.items() if each}
    forms = {name: form for name in attributes if (form := _form(ask, choice, name))}
    most = frequencies(ask)[-1]
    denied = tuple(name for name in ask.optional if name not in choice.optional)
    fetches = most if choice.fetches_per_day is None else choice.fetches_per_day
    asked_forms = {n: form for n in attributes if (form := ask.template.coarsened_to(n))}
    agreed = {name: each for name, each in which.items() if name in shared}
    return Agreed(
        attributes=attributes,
        denied=denied,
        duration=choice.duration,
        fetches_per_day=fetches,
        coarsenings=forms,
        primary=tuple(sorted(n for n, each in agreed.items() if each == Instances.PRIMARY)),
        chosen={
            name: choice.records[name]
            for name, each in sorted(agreed.items())
            if each == Instances.CHOSEN
        },
        is_narrowed=bool(denied)
        or choice.duration != ask.duration
        or fetches != most
        or forms != asked_forms
        or any(each != ask.template.instances(name) for name, each in agreed.items()),
    )


def _form(ask: Ask, choice: Choice, name: str) -> str | None:
    return choice.coarsenings.get(name) or ask.template.coarsened_to(name)


def _issues(ask: Ask, choice: Choice) -> Iterator[Issue]:
    if not choice.optional <= set(ask.optional):
        yield Issue("attributes", "not_offered", NOT_OFFERED)
    if choice.duration not in durations.choices(ask.duration):
        yield Issue("duration", "not_offered", NOT_OFFERED)
    if choice.fetches_per_day not in (None, *frequencies(ask)):
        yield Issue("fetches_per_day", "not_offered", NOT_OFFERED)
    asked = {*ask.required, *ask.optional}
    for name, form in choice.coarsenings.items():
        if name not in asked or form not in ("", *coarsenings(ask, name)):
            yield Issue(f"coarsen.{name}", "not_offered", NOT_OFFERED)
    yield from _issues_of_instances(ask, choice)


def _issues_of_instances(ask: Ask, choice: Choice) -> Iterator[Issue]:
    offered = instances(ask)
    for name, which in choice.instances.items():
        if which not in ("", *offered.get(name, ())):
            yield Issue(f"instances.{name}", "not_offered", NOT_OFFERED)
        elif which == Instances.CHOSEN and not choice.records.get(name):
            yield Issue(f"records.{name}", "nothing_chosen_here", "Tick at least one entry.")
    for name, records in choice.records.items():
        if records and choice.instances.get(name) != Instances.CHOSEN:
            detail = "Choose “only those that I tick”, or tick none."
            yield Issue(f"records.{name}", "ticked_for_nothing", detail)
