"""Settings and the vault's own privacy notice."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta

from api.web import help as help_pages


def words(answer):
    return " ".join(re.sub(r"<[^>]+>", " ", answer.text).split())


def test_every_setting_is_reached_from_one_page_also_while_locked(aysel, hers):
    aysel.save("contact", email="aysel@poct.example")
    hers.lock()
    page = hers.get("/settings")

    for path in (
        "/settings/letters",
        "/settings/recovery-code",
        "/settings/passkeys",
        "/settings/second-step",
        "/settings/apps",
        "/settings/sessions",
        "/export",
        "/privacy",
        "/vault-deletion",
    ):
        assert f'href="{path}"' in page.text
    for part in re.findall(r'class="chip" href="#([a-z-]+)"', page.text):
        assert f'id="{part}"' in page.text
    assert re.search(r"Your vault takes up [1-9]", words(page))


def test_the_notice_says_what_the_operator_sees_and_claims_no_more(browser):
    page = words(browser.get("/privacy"))

    assert "your name for signing in and your address for letters" in page
    assert "short of guessing your passphrase" in page
    assert "in the clear" in page
    assert not re.search("zero.knowledge|end.to.end", page, re.IGNORECASE)


def test_the_notice_gives_the_periods_that_hold(browser, monkeypatch):
    """LOG-9: they come from the table that erasure goes by."""

    @dataclass
    class Kept:
        private: timedelta = timedelta(days=7 * 365)
        public: timedelta = timedelta(days=13 * 365)

    assert "for 10 years" in words(browser.get("/privacy"))
    monkeypatch.setattr(help_pages.retention, "class_of", lambda _event: Kept())
    assert "for 13 years" in words(browser.get("/privacy"))
