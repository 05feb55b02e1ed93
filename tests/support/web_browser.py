"""A browser without a screen for tests of the pages: cookies, forms, and every redirect as a step.

It speaks WSGI to the application of a world, or HTTP to a server. What a form sends is what the
page holds, changed by what the test types, so a field that a page lacks is missing here, too.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urljoin

import httpx

from api.demo.browser import Page
from tests.support.world import PASSPHRASE


@dataclass
class Answer:
    """One answer, not followed."""

    page: Page
    response: httpx.Response

    @property
    def status(self):
        return self.response.status_code

    @property
    def text(self):
        return self.response.text

    @property
    def location(self):
        return self.response.headers.get("Location", "")


class WebBrowser:
    """One person's browser."""

    def __init__(self, world, *, language="en", transport=None):
        self.world = world
        self.http = httpx.Client(
            transport=transport or httpx.WSGITransport(app=world.app),
            base_url=world.issuer,
            headers={"Accept": "text/html", "Accept-Language": language},
        )

    def close(self):
        self.http.close()

    def get(self, path, **headers):
        return self._answer(self.http.get(path, headers=headers))

    def post(self, path, data, *, origin=None, files=None, **headers):
        """Send anything: what a form of ours would never send, too."""
        headers = {"Origin": self.world.issuer if origin is None else origin} | headers
        return self._answer(self.http.post(path, data=data, files=files, headers=headers))

    def submit(self, answer, control, *, files=None, leave_out=(), origin=None, **values):
        """Send the form that has a control of some name, with some values changed."""
        form = answer.page.form(control)
        data = {name: value for name, value in form.fields.items() if name not in leave_out}
        target = urljoin(answer.page.url, form.action)
        return self.post(target, data | values, origin=origin, files=files)

    def follow(self, answer):
        """Follow redirects as long as they stay here."""
        while answer.status == 303 and answer.location.startswith("/"):
            answer = self.get(answer.location)
        return answer

    def sign_in(self, login="aysel", passphrase=PASSPHRASE):
        page = self.get("/sign-in")
        return self.submit(page, "passphrase", login=login, passphrase=passphrase)

    def lock(self):
        return self.post("/lock", {"csrf": self.token()})

    def token(self, path="/help"):
        """Return the form token that a page holds for this browser."""
        return self.get(path).page.form("csrf").fields["csrf"][0]

    @staticmethod
    def _answer(response):
        return Answer(Page(str(response.url), response.status_code, response.text), response)
