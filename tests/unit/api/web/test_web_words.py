"""No raw code is ever shown: each has words (CUX-29)."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from api.web import words
from api.web.auditor import words as desk_words
from api.web.clusters import clusters_of
from api.web.vault.inputs import Input, of
from consent.formats.receipt_facts import ReceiptKind
from consent.vocabulary import (
    Actor,
    AgreementState,
    ConsentStatus,
    DenialReason,
    EventName,
    LawfulBasis,
    Purpose,
)
from pds.catalogue import CATALOGUE

ROOT = Path(words.__file__).parents[2]


@pytest.mark.parametrize(
    ("codes", "known"),
    [
        (AgreementState, words.AGREEMENT_STATES),
        (Purpose, words.PURPOSES),
        (LawfulBasis, words.LAWFUL_BASES),
        (Actor, words.ACTORS),
        (ReceiptKind, words.RECEIPT_KINDS),
        (ConsentStatus, words.CONSENT_TERMS),
        (DenialReason, words.OUTCOMES),
    ],
    ids=lambda each: getattr(each, "__name__", ""),
)
def test_every_code_of_the_vocabulary_has_words(codes, known):
    assert {code.value for code in codes} <= set(known)


def test_every_event_of_a_vault_has_words():
    of_the_deployment = (
        "organisation.",
        "template.",
        "auditor.",
        "engagement.",
        "evidence.searched",
        "requests.",
        "log.",
        "hold.",
        "pseudonym.",
        "deployment.",
        "witness.",
    )
    named = {one.value for one in EventName if not one.value.startswith(of_the_deployment)}

    assert named | set(events_that_the_vault_makes()) <= set(words.EVENTS)


def test_every_event_that_auditors_find_has_words():
    """AUD-2: all but those of a vault's own."""
    named = {one.value for one in EventName if not one.value.startswith("vault.")}

    assert named <= set(desk_words.EVENTS_OF_OTHERS)


def events_that_the_vault_makes():
    """Find the names that `pds` gives its events."""
    for path in (ROOT / "pds").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "VaultEvent":
                yield from (each.value for each in node.args[:1] if isinstance(each, ast.Constant))
            named = isinstance(node, ast.keyword) and node.arg == "event"
            if named and isinstance(node.value, ast.Constant):
                yield node.value.value


def test_an_item_is_named_with_its_collection_where_it_alone_says_too_little():
    """CUX-4"""
    date, phone = CATALOGUE.attribute("transactions.date"), CATALOGUE.attribute("contact.phone")

    assert words.item(date, "en") == "Date (Transactions)"
    assert words.item(date, "az") == "Tarix (Əməliyyatlar)"
    assert words.item(phone, "en") == "Phone"


def test_no_two_items_of_the_catalogue_are_named_alike():
    for locale in ("az", "en"):
        names = [
            words.item(each, locale)
            for kind in CATALOGUE.collections.values()
            for each in kind.attributes.values()
        ]
        assert len(names) == len(set(names)), [n for n in names if names.count(n) > 1]


def test_attributes_that_the_catalogue_no_longer_has_are_passed_over():
    groups = clusters_of(["contact.email", "contact.fax_machine", "gone.entirely"])

    assert [[each.qualified_name for each in attributes] for _, attributes in groups] == [
        ["contact.email"]
    ]


@pytest.mark.parametrize("locale", ["az", "en"])
def test_a_code_that_a_list_lacks_is_not_lost(locale):
    """An organisation or an import may have written a language that the form does not offer."""
    kind = CATALOGUE.collection("preferences")
    found = {each.name: each for each in of(kind, {"language": "tlh"}, [], locale)}

    assert ("tlh", "tlh") in found["language"].options


def test_countries_are_sorted_as_their_reader_sorts():
    """UI-14"""
    field: Input = next(
        each
        for each in of(CATALOGUE.collection("addresses"), {}, [], "az")
        if each.name == "country"
    )
    names = [name for _, name in field.options]

    assert names.index("Çin") > names.index("Burundi")
    assert names.index("Çin") < names.index("Danimarka")
    assert dict(field.options)["AZ"] == "Azərbaycan"
