"""Making a page: what every template has at hand."""

from __future__ import annotations

from dataclasses import dataclass

from flask import Response, current_app, g, render_template, request
from flask_babel import lazy_gettext as _l
from flask_babel import refresh
from flask_babel.speaklater import LazyString

from api.web import (
    assets,
    cookies,
    flashes,
    forms,
    languages,
    visitors,
    words,
)

THEMES = ("auto", "light", "dark")


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong with a form: the field's id in the page, and what to do (UI-19)."""

    field: str
    text: str


@dataclass(frozen=True, slots=True)
class _Link:
    path: str
    label: LazyString
    icon: str


_NAVIGATION = (
    _Link("/", _l("Home"), "house"),
    _Link("/vault", _l("Vault"), "archive"),
    _Link("/connections", _l("Connections"), "users"),
    _Link("/imports", _l("Import"), "upload"),
    _Link("/activity", _l("Activity"), "history"),
    _Link("/settings", _l("Settings"), "settings"),
)


def page(template: str, status: int = 200, /, **context: object) -> Response:
    """Render a template as a page."""
    visitor = visitors.current()
    context.setdefault("here", _here())
    text = render_template(
        template,
        **context,
        visitor=visitor,
        locale=languages.current(),
        theme=theme(),
        navigation=_NAVIGATION if visitor else (),
        notes=flashes.take(),
        csrf=forms.token(),
        insecure=cookies.is_insecure(),
        asset=assets.url,
        words=words,
    )
    return Response(text, status, mimetype="text/html")


def fragment(template: str, **context: object) -> Response:
    """Render a part of a page, for htmx to put in its place."""
    text = render_template(
        template,
        **context,
        locale=languages.current(),
        csrf=forms.token(),
        asset=assets.url,
        words=words,
    )
    return Response(text, mimetype="text/html")


def theme() -> str:
    """Return the colours of the pages: `auto`, `light` or `dark`."""
    visitor = visitors.current()
    chosen = visitor.theme if visitor else cookies.read("t")
    return chosen if chosen in THEMES else "auto"


def asked_in(tags: str | None) -> None:
    """Show this page in one of the languages that a client's request names (UI-17)."""
    if tags:
        g.ui_locales = tags
        refresh()


def _here() -> str:
    """Return the page to come back to after a switch of language: one that a GET shows."""
    if request.method == "GET":
        return request.full_path.removesuffix("?")
    adapter = current_app.create_url_adapter(request)
    shows = adapter is not None and adapter.test(request.path, "GET")
    return request.path if shows else "/"
