"""What an organisation may put into a template, and what is found before it is published."""

from __future__ import annotations

from uuid import uuid4

import pytest

from consent import notices
from consent.formats import canonical
from consent.models import Organisation
from consent.notices import Ask
from consent.templates import Template, check
from pds.errors import NotFoundError, ValidationFailedError
from tests.support.world import template_document, wording

ORGANISATION = uuid4()


def document(**members):
    return template_document(ORGANISATION, **({"required": ["contact.email"]} | members))


def rules(found):
    with pytest.raises(ValidationFailedError) as refused:
        check(found)
    return {(issue.field, issue.rule) for issue in refused.value.issues}


def test_a_complete_template_is_good():
    check(document(optional=["profile.given_name"]))
    check(document(required=["transactions.date"], data_from={"transactions": "2026-01-01"}))
    check(document(actions=["write"]))


@pytest.mark.parametrize("member", sorted(document()))
def test_every_member_is_needed(member):
    """Uniform terms: nothing is left to a default."""
    found = document()
    del found[member]

    assert rules(found)


@pytest.mark.parametrize("member", ["purpose_text", "name", "if_refused", "complaint"])
@pytest.mark.parametrize(
    "words",
    [{}, {"en": "x"}, {"az": "x"}, {"az": "", "en": "x"}, {"az": "x", "en": "x", "ru": "x"}, "x"],
    ids=["none", "no az", "no en", "empty", "a third", "text"],
)
def test_words_are_in_both_languages(member, words):
    """CUX: Azerbaijani and English."""
    assert rules(document(**{member: words}))


def test_every_fault_of_words_is_named_at_once():
    found = document(
        required=["contact.email", "contact.nothing", "contact.email"],
        max_duration="P1Y",
        purpose_text=wording("x" * 161),
        data_from={"contact": "2026-01-01", "health": "2026-01-01"},
    )

    assert rules(found) == {
        ("attributes.1.name", "unknown_attribute"),
        ("attributes.2.name", "twice"),
        ("max_duration", "duration"),
        ("purpose_text.az", "too_long"),
        ("purpose_text.en", "too_long"),
        ("data_from.contact", "no_range"),
        ("data_from.health", "no_range"),
    }


def test_an_item_is_either_required_or_optional():
    assert ("optional_attributes.0.name", "twice") in rules(document(optional=["contact.email"]))


def test_reading_nothing_is_a_contradiction():
    assert rules(document(required=[])) == {("attributes", "empty")}


@pytest.mark.parametrize("name", ["contact.label", "contact", "contact.", ".email", "x.y"])
def test_companions_and_collections_are_not_asked_for(name):
    """P-21: they go with what is agreed."""
    assert rules(document(required=[name])) == {("attributes.0.name", "unknown_attribute")}


def test_a_template_says_why_it_asks_for_each_item():
    found = Template("0" * 64, document(optional=["profile.given_name"]))

    assert found.reason("contact.email", "az") == "Needed."
    assert found.reason("profile.given_name", "en") == "Nice."
    with pytest.raises(NotFoundError):
        found.reason("contact.phone", "en")


def organisation(**changes):
    values = {
        "id": ORGANISATION,
        "name_az": "Mağaza",
        "name_en": "Shop",
        "contact": "c@example.com",
        "address": "Bakı",
        "standing": "good",
    }
    return Organisation(**(values | changes))


def ask(**changes):
    template = Template("0" * 64, document(optional=["profile.given_name"]))
    values = {
        "client_id": uuid4(),
        "client_name": "App",
        "redirect_uri": "https://client.example:8443/cb?x=1",
        "template": template,
        "actions": ("read",),
        "required": template.required,
        "optional": template.optional,
        "duration": "P30D",
    }
    return Ask(**(values | changes))


ASK = ask()


def sha256(asked=ASK, locale="en", **changes):
    return notices.notice_sha256(notices.build(asked, organisation(**changes), locale=locale))


def test_a_notice_is_known_by_the_hash_of_its_canonical_form():
    """P-28, AUD-4."""
    notice = notices.build(ASK, organisation(), locale="en")

    assert sha256() == canonical.sha256_hex(notice)
    assert sha256() == sha256()
    assert notice["redirect_host"] == "client.example:8443"
    assert notice["durations"] == ["P1D", "P7D", "P30D"]


@pytest.mark.parametrize(
    "changed",
    [
        lambda: sha256(locale="az"),
        lambda: sha256(name_en="Another"),
        lambda: sha256(contact="d@example.com"),
        lambda: sha256(standing="suspended"),
        lambda: sha256(ask(client_id=ASK.client_id, client_name="Other app")),
        lambda: sha256(ask(client_id=ASK.client_id, redirect_uri="https://other.example/cb")),
        lambda: sha256(ask(client_id=ASK.client_id, required=())),
        lambda: sha256(ask(client_id=ASK.client_id, optional=())),
        lambda: sha256(ask(client_id=ASK.client_id, actions=("read", "write"))),
        lambda: sha256(ask(client_id=ASK.client_id, duration="P7D")),
    ],
    ids=[
        "language", "organisation", "contact", "standing", "client", "redirect", "required",
        "optional", "actions", "duration",
    ],
)  # fmt: skip
def test_whatever_is_shown_is_in_the_hash(changed):
    """P-28: a difference shows the page again."""
    assert changed() != sha256()
