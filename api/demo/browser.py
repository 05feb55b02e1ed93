"""A browser without a screen: cookies, forms, redirects. For the script of the demonstration."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import urljoin, urlsplit

import httpx

_MOST_REDIRECTS = 8


@dataclass(slots=True)
class Form:
    """A form as the page has it: where it goes, and what it would send untouched."""

    action: str
    fields: dict[str, list[str]] = field(default_factory=dict)
    checkboxes: dict[str, list[str]] = field(default_factory=dict)
    names: set[str] = field(default_factory=set)
    ticked: int = 0


class _Forms(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self._inside = False
        self._select = ""
        self._textarea = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.forms.append(Form(found.get("action", "")))
            self._inside = True
        elif self._inside:
            self._control(tag, found)

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._inside = False
        elif tag == "textarea":
            self._textarea = ""
        elif tag == "select":
            self._select = ""

    def handle_data(self, data: str) -> None:
        if self._textarea:
            self.forms[-1].fields[self._textarea][-1] += data

    def _control(self, tag: str, found: dict[str, str]) -> None:
        form, name = self.forms[-1], found.get("name", "")
        if name:
            form.names.add(name)
        if tag == "select":
            self._select = name
        elif tag == "option" and "selected" in found:
            form.fields.setdefault(self._select, []).append(found.get("value", ""))
        elif tag == "textarea":
            self._textarea = name
            form.fields.setdefault(name, []).append("")
        elif tag == "input" and name:
            self._input(form, name, found)

    def _input(self, form: Form, name: str, found: dict[str, str]) -> None:
        kind, value = found.get("type", "text"), found.get("value", "")
        if kind == "checkbox":
            form.checkboxes.setdefault(name, []).append(value)
            form.ticked += "checked" in found
        if kind in ("checkbox", "radio") and "checked" not in found:
            return
        if kind != "submit":
            form.fields.setdefault(name, []).append(value)


@dataclass(slots=True)
class Page:
    """What the browser shows."""

    url: str
    status: int
    text: str

    def form(self, control: str) -> Form:
        """Return the form that has a control of some name."""
        return self._first(lambda form: control in form.names, control)

    def form_to(self, action: str) -> Form:
        """Return the form that leads somewhere."""
        return self._first(lambda form: form.action == action, action)

    def _first(self, is_meant: Callable[[Form], bool], what: str) -> Form:
        parser = _Forms()
        parser.feed(self.text)
        found = [form for form in parser.forms if is_meant(form)]
        if not found:
            raise LookupError(f"no form with {what!r} on {self.url} ({self.status})")
        return found[0]


class Browser:
    """One person's browser; it leaves the vault only where it is sent."""

    def __init__(self, base_url: str) -> None:
        """Start with an empty cookie jar."""
        self._http = httpx.Client(base_url=base_url, timeout=30)
        self._origin = base_url

    def close(self) -> None:
        """Close the connection."""
        self._http.close()

    def get(self, url: str) -> Page:
        """Open a page."""
        return self._follow(self._http.get(url))

    def submit(self, page: Page, control: str, **values: str | list[str]) -> Page:
        """Send the form that has a control of some name, with some values changed."""
        form = page.form(control)
        data: dict[str, str | list[str]] = dict(form.fields)
        data.update(values)
        target = urljoin(page.url, form.action)
        answer = self._http.post(target, data=data, headers={"Origin": self._origin})
        return self._follow(answer)

    def post(self, page: Page, action: str) -> Page:
        """Press the button of the form that leads to `action`, as it is."""
        form = page.form_to(action)
        answer = self._http.post(
            urljoin(page.url, form.action), data=form.fields, headers={"Origin": self._origin}
        )
        return self._follow(answer)

    def _follow(self, answer: httpx.Response) -> Page:
        for _ in range(_MOST_REDIRECTS):
            if answer.status_code not in (302, 303):
                break
            target = urljoin(str(answer.url), answer.headers["Location"])
            if urlsplit(target).netloc != urlsplit(self._origin).netloc:
                # Another program's address: it answers without our cookies.
                answer = httpx.get(target, timeout=30)
            else:
                answer = self._http.get(target)
        return Page(str(answer.url), answer.status_code, answer.text)
