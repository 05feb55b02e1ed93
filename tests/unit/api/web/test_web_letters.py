"""The words of letters: both languages, both forms, and nothing that is not theirs to say."""

from __future__ import annotations

from datetime import UTC, datetime
from email import message_from_bytes
from email.policy import SMTP, default

import pytest

from api.web.letters import write
from pds.ids import random_uuid
from pds.letters import SECURITY, LetterKind, Waiting

ISSUER = "https://vault.example"
EVIL = "Evil <script>alert(1)</script>\r\nBcc: victim@example.com"


def letter(kind, locale="en", *, organisation="Xəzər Market", code="ABCD"):
    about = {"organisation": str(random_uuid()), "day": "2026-03-14"}
    waiting = Waiting(7, random_uuid(), random_uuid(), kind, about, None, datetime.now(UTC))
    return write(
        waiting,
        to="aysel@example.com",
        sender="vault@vault.example",
        locale=locale,
        issuer=ISSUER,
        organisation=organisation,
        code=code,
    )


def parts(message):
    read = message_from_bytes(message.as_bytes(policy=SMTP), policy=default)
    return {
        part.get_content_type(): part.get_content()
        for part in read.walk()
        if not part.is_multipart()
    }


@pytest.mark.parametrize("locale", ["az", "en"])
@pytest.mark.parametrize("kind", LetterKind)
def test_every_letter_is_written_as_text_and_as_html_in_both_languages(kind, locale):
    message = letter(kind, locale)

    found = parts(message)

    assert set(found) == {"text/plain", "text/html"}
    for text in found.values():
        assert message["Subject"] or text
        assert f"{ISSUER}/" in text
        assert "%(" not in text
    assert f'lang="{locale}"' in found["text/html"]


@pytest.mark.parametrize("kind", LetterKind)
def test_the_two_languages_differ(kind):
    assert letter(kind, "az")["Subject"] != letter(kind, "en")["Subject"]


@pytest.mark.parametrize("kind", LetterKind)
def test_what_can_be_switched_off_says_where(kind):
    """RFC 2369; what is about safety cannot be."""
    expected = None if kind in SECURITY else f"<{ISSUER}/settings/letters>"

    assert letter(kind)["List-Unsubscribe"] == expected


def test_a_day_is_written_as_people_write_it():
    assert "14 mart 2026" in parts(letter(LetterKind.EXPIRY, "az"))["text/plain"]


@pytest.mark.parametrize("kind", LetterKind)
def test_an_organisations_name_adds_no_header_and_no_markup(kind):
    message = letter(kind, organisation=EVIL)

    read = message_from_bytes(message.as_bytes(policy=SMTP), policy=default)
    assert read["Bcc"] is None
    assert read["To"] == "aysel@example.com"
    assert "<script>" not in parts(message)["text/html"]


def test_only_the_letters_that_bring_it_hold_the_code():
    with_code = {kind for kind in LetterKind if "ABCD" in letter(kind).as_string()}

    assert with_code == {LetterKind.CONFIRM, LetterKind.LIMITED_LINK}


def test_no_machine_answers_a_letter():
    """RFC 3834."""
    message = letter(LetterKind.REQUEST)

    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Message-ID"].endswith("@vault.example>")
