"""vCard 2.1, 3.0 and 4.0 (RFC 6350): address books, and the owner's own card.

Every card becomes one `address_book` record. With `own_card` the first card becomes the owner's
profile, demographics, contact points and addresses instead. Nested cards (2.1's AGENT) count as
cards of their own. Pictures are never fetched and never kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache

from babel import Locale

from pds.catalogue.kinds import RefusedError, normalise
from pds.errors import LimitExceededError
from pds.importing.cards import Card, PersonName, PostalAddress
from pds.importing.content_lines import UnreadableLine, read_content_lines
from pds.importing.people import entry, stand_in_name
from pds.importing.results import MAX_DEPTH, Findings, ImportResult, Position, unusable_file
from pds.text import ascii_fold

FORMAT = "vCard"

_ANNIVERSARIES = ("ANNIVERSARY", "X-ANNIVERSARY", "X-MS-ANNIVERSARY", "X-EVOLUTION-ANNIVERSARY")
_COUNTRY_ALIASES = {
    "usa": "US",
    "united states of america": "US",
    "uk": "GB",
    "great britain": "GB",
    "azerbaycan respublikasi": "AZ",
    "republic of azerbaijan": "AZ",
    "turkey": "TR",
}
_GENDERS = {"M": "male", "F": "female", "O": "other"}


def read_vcard(data: bytes, *, own_card: bool) -> ImportResult:
    """Read a vCard file.

    Raises:
        ValidationFailedError: it is no vCard file, or ends inside a card.
        LimitExceededError: it is nested too deep or holds too much.
    """
    findings = Findings()
    cards = sorted(_cards(data, findings), key=lambda card: card.position.number)
    if not cards:
        raise unusable_file("not_this_format", FORMAT)
    for card in cards:
        if card.is_too_long:
            findings.refuse(card.position, "card_too_long")
        elif not own_card:
            _read_contact(card, findings)
        elif card is cards[0]:
            _read_own_card(card, findings)
        else:
            findings.refuse(card.position, "only_first_card")
    return findings.result()


def _cards(data: bytes, findings: Findings) -> Iterator[Card]:
    """Yield each card at its END; a card inside another comes before it."""
    open_cards: list[Card] = []
    for line in read_content_lines(data):
        position = Position("line", line.number)
        if isinstance(line, UnreadableLine):
            findings.skip(position, "line_unreadable")
        elif line.name == "BEGIN" and _is_vcard(line.value):
            if len(open_cards) >= MAX_DEPTH:
                raise LimitExceededError(f"cards nested more than {MAX_DEPTH} deep")
            open_cards.append(Card(position))
        elif line.name == "END" and _is_vcard(line.value) and open_cards:
            yield open_cards.pop()
        elif open_cards:
            open_cards[-1].add(line)
        else:
            findings.skip(position, "line_outside_card")
    if open_cards:
        raise unusable_file("truncated")


def _is_vcard(value: str | None) -> bool:
    return value is not None and value.strip().upper() == "VCARD"  # ascii


def _read_contact(card: Card, findings: Findings) -> None:
    person = card.person_name(findings)
    data: dict[str, object] = {
        "name": next(iter(card.texts("FN", findings)), "") or person.full(),
        "given_name": person.given,
        "family_name": person.family,
        "nickname": ", ".join(card.components("NICKNAME", findings, ",")),
        "organization": _organization(card, findings),
        "job_title": "; ".join(card.texts("TITLE", findings)),
        "emails": _labelled(card, "EMAIL", "email", findings),
        "phones": _labelled(card, "TEL", "tel", findings),
        "postal_addresses": [
            entry(address.formatted(), address.label)
            for address in card.addresses(findings)
            if address.formatted()
        ],
        "birth_date": card.date(("BDAY",), findings),
        "anniversary": card.date(_ANNIVERSARIES, findings)
        or card.labelled_date("Anniversary", findings),
        "urls": _urls(card, findings),
        "categories": card.components("CATEGORIES", findings, ","),
        "note": "\n".join(card.texts("NOTE", findings)),
    }
    if not data["name"]:
        source, data["name"] = stand_in_name(data)
        if source is None:
            findings.refuse(card.position, "card_without_name")
            return
        findings.skip(card.position, "name_taken_from", source)
    if findings.offer("address_book", data, card.position):
        card.note_leftovers(findings)


def _read_own_card(card: Card, findings: Findings) -> None:
    person = card.person_name(findings)
    if person == PersonName():
        # Without N the whole name cannot be cut safely: some languages put the family first.
        person = PersonName(given=next(iter(card.texts("FN", findings)), ""))
    card.texts("FN", findings)
    profile = {
        "given_name": person.given,
        "family_name": person.family,
        "middle_name": person.additional,
        "nickname": ", ".join(card.components("NICKNAME", findings, ",")),
        "job_title": "; ".join(card.texts("TITLE", findings)),
        "organization": _organization(card, findings),
    }
    gender = next(iter(card.texts("GENDER", findings)), "")[:1]
    demographics = {"birth_date": card.date(("BDAY",), findings), "gender": _GENDERS.get(gender)}
    for collection, data in (("profile", profile), ("demographics", demographics)):
        if any(data.values()):
            findings.offer(collection, data, card.position)
    for name, attribute in (("EMAIL", "email"), ("TEL", "phone")):
        for each in card.reachable(name, findings):
            contact = {
                attribute: each.value,
                "label": each.label,
                "primary": each.preferred or None,
            }
            findings.offer("contact", contact, each.position)
    for address in card.addresses(findings):
        findings.offer("addresses", _own_address(address, findings), address.position)
    card.note_leftovers(findings)


def _own_address(address: PostalAddress, findings: Findings) -> Mapping[str, object]:
    country = _country_codes().get(ascii_fold(address.country)) if address.country else None
    if address.country and country is None:
        findings.skip(address.position, "value_unusable", "addresses.country")
    return {
        "street_address": address.street,
        "locality": address.locality,
        "region": address.region,
        "postal_code": address.postal_code,
        "country": country,
        "label": address.label,
        "primary": address.preferred or None,
    }


@cache
def _country_codes() -> Mapping[str, str]:
    """Return ISO 3166-1 codes by themselves and by the folded names in both languages."""
    names = {
        ascii_fold(name): code
        for locale in ("en", "az")
        for code, name in Locale(locale).territories.items()
        if code.isalpha() and code != "ZZ"
    }
    return {**names, **{ascii_fold(code): code for code in names.values()}, **_COUNTRY_ALIASES}


def _organization(card: Card, findings: Findings) -> str:
    # RFC 6350 section 6.6.4: name first, then its units, from the largest to the smallest.
    lines = (line.parts() for line in card.take("ORG", findings))
    return "; ".join(dict.fromkeys(", ".join(filter(None, parts)) for parts in lines))


def _labelled(card: Card, name: str, kind: str, findings: Findings) -> list[dict[str, str]]:
    entries: list[dict[str, str]] = []
    for each in card.reachable(name, findings):
        labelled = entry(each.value, each.label)
        try:
            normalise("labelled", [labelled], of=kind)
        except RefusedError:
            findings.skip(each.position, "value_unusable", name)
        else:
            entries.append(labelled)
    return entries


def _urls(card: Card, findings: Findings) -> list[str]:
    kept: list[str] = []
    for line in card.take("URL", findings):
        url = line.text().strip()
        scheme, colon, _ = url.partition(":")
        # A `javascript:` address would run in the owner's own session when followed.
        if colon and scheme.lower() not in ("http", "https"):  # ascii
            findings.skip(Position("line", line.number), "value_unusable", "URL")
        elif url not in kept:
            kept.append(url)
    return kept
