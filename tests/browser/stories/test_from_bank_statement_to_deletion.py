"""A life with a vault: sign up, import, share, see who reads, pause, stop, verify, and leave.

Lived three times: in English with a mouse, in Azerbaijani by keyboard alone on a telephone's width,
and without JavaScript. Nothing is found by its wording, so every language is the same story.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import zipfile

import pytest

from tests.support import published
from tests.support.auditing import integrate
from tests.support.hands import Keyboard, Mouse
from tests.support.source import ROOT

STATEMENT = "Tarix;Kim;Məbləğ;Valyuta\n" + "".join(
    f"{day:02}.03.2026;Kafe {day};-{day},50;AZN\n" for day in range(1, 29)
)
PASSPHRASE = "violet anchor meadow castle pepper wagon"
WAYS = {
    "english-mouse": ("en", Mouse, {"viewport": {"width": 1280, "height": 800}}),
    "azerbaijani-keyboard": ("az", Keyboard, {"viewport": {"width": 360, "height": 740}}),
    "english-without-javascript": ("en", Mouse, {"java_script_enabled": False}),
}


@pytest.fixture(params=WAYS)
def living(request, served, open_page):
    """Give a way of living the story, and a name of its own to live it under."""
    language, hands, options = WAYS[request.param]
    return Life(served, open_page(locale=language, **options), hands, f"from-{request.param}")


@pytest.fixture(scope="module")
def shop(served, tmp_path_factory):
    """Give an organisation whose page the browser comes back to."""
    folder = tmp_path_factory.mktemp("shop")
    (folder / "back.html").write_text("<title>Shop</title>Welcome back", "utf-8")
    with published.served(folder) as address:
        made = served.world.organisation("Mağaza", redirect_uri=f"{address}/back.html")
        made.client.redirect_uri = f"{address}/back.html"
        yield made


class Life:
    """One person in a browser."""

    def __init__(self, served, page, hands, login):
        self.served, self.page, self.hands, self.login = served, page, hands(page), login

    def sign_up(self):
        press, page = self.hands.press, self.page
        page.goto("/sign-up")
        press('main a[href^="/sign-up/passphrase"]')
        self.hands.type("#login", self.login)
        self.hands.type("#passphrase", PASSPHRASE)
        press("main form button")
        code = page.text_content("#recovery-code").split("-")
        press("input[name=written]")
        press("main form button:not([type])")
        for number in (each.get_attribute("value") for each in page.locator("[name=asked]").all()):
            self.hands.type(f"#group-{number}", code[int(number) - 1])
        press("main form button")

    def import_statement(self):
        press, page = self.hands.press, self.page
        press('main a[href="/imports"]')
        file = {"name": "a.csv", "mimeType": "text/csv", "buffer": STATEMENT.encode()}
        page.set_input_files("#file", file)
        press('main form[action="/imports"] button')
        self.hands.choose("#column_payee", "Kim (Kafe 1)")
        self.hands.type("#account", "Gündəlik")
        press('button[name=then][value="stage"]')
        press('main form[action$="/advance"] button')
        page.wait_for_selector("progress[value='28'][max='28']")

    def add(self, name, text):
        page = self.page
        page.goto("/vault/contact/new")
        self.hands.type(f"[name={name}]", text)
        self.hands.press("main form[method=post] button:not([formaction])")
        page.wait_for_url(re.compile("/vault/contact(?!/new)"))

    def verify_newest_receipt(self, folder):
        """Take a receipt along, and check it as whoever trusts nobody here does."""
        page = self.page
        integrate(self.served.world)
        page.goto("/receipts")
        self.hands.press('main a[href^="/receipts/"]')
        page.wait_for_selector('a[href$="/proof"]')
        links = {
            "receipt.json": f"{page.url}?format=json",
            "receipt.tlog-proof": f"{page.url}/proof",
            "receipts.jwks": "/receipts/keys",
            "log.vkey": "/log/vkeys",
        }
        for name, link in links.items():
            (folder / name).write_bytes(page.request.get(link).body())
        given = ["receipt.json", "--proof", "receipt.tlog-proof", "--vkey", "log.vkey"]
        command = [sys.executable, "-m", "consent.verifier", *given, "--receipt-key"]
        done = subprocess.run(  # noqa: S603 - our own arguments
            [*command, "receipts.jwks"],
            cwd=folder,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def allow(self, market, template):
        """Decide on a request that the organisation's page led to; returns what it got."""
        page = self.page
        uri, verifier = self.served.world.push(market, market.details(template))
        page.goto(market.client.authorization_url(uri))
        self.hands.pick('input[name=duration][value="P30D"]')
        self.hands.press('button[name=fill][value="profile.given_name"]')
        self.hands.type("#given_name", "Aysel")
        self.hands.press("main form[method=post] button:not([formaction])")
        page.wait_for_selector('button[value="check"]')
        assert page.is_checked('input[name=duration][value="P30D"]')
        self.hands.press('button[name=decision][value="check"]')
        self.hands.press("form.consent .decide-row button:not([name])")
        page.wait_for_url(f"{market.client.redirect_uri}?**")
        code = page.url.partition("code=")[2].partition("&")[0]
        answer = market.client.redeem(code, verifier)
        assert answer.status_code == 200, answer.text
        return self.served.world.connected(None, market, template, answer.json())


def test_a_whole_life(living, shop, tmp_path):
    """CUX-35, CUX-39, UI-18"""
    page, press = living.page, living.hands.press
    template = shop.publish(required=["contact.email", "contact.phone", "profile.given_name"])
    living.sign_up()
    living.import_statement()
    living.add("email", "aysel@poct.example")
    living.add("phone", "+994501234567")

    shared = living.allow(shop, template)
    read = shared.get("/v1/records").json()
    assert "aysel@poct.example" in json.dumps(read)
    assert "Kafe" not in json.dumps(read)

    page.goto("/")
    press('header a[href="/connections"]')
    press(f'main a[href="/connections/{shared.agreement_id}"]')
    press(f'form[action$="/{shared.agreement_id}/pause"] button')
    assert shared.get("/v1/records").status_code == 403
    press(f'a[href$="/{shared.agreement_id}/resume"]')
    press(f'form[action$="/{shared.agreement_id}/resume"] button')
    assert shared.get("/v1/records").status_code == 200
    press(f'a[href$="/{shared.agreement_id}/stop"]')
    press(f'form[action$="/{shared.agreement_id}/stop"] button')
    page.wait_for_url("**/connections**")
    assert shared.get("/v1/records").status_code == 403

    living.verify_newest_receipt(tmp_path)
    page.goto("/settings")
    press('main a[href="/export"]')
    living.hands.type("#passphrase", PASSPHRASE)
    with zipfile.ZipFile(living.hands.take('main form[action="/export"] button')) as archive:
        assert archive.testzip() is None
        assert any(b"Kafe 28" in archive.read(name) for name in archive.namelist())
    page.goto("/settings")
    press('main a[href="/vault-deletion"]')
    press("#sure")
    living.hands.type("#passphrase", PASSPHRASE)
    press('main form[action="/vault-deletion"] button')
    page.wait_for_selector('form[action="/vault-deletion/cancel"]')
