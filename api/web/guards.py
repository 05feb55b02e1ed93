"""What a page asks of its visitors, and of the forms that they send (P-15, SEC-S46).

A page is for everyone, for whoever is signed in, or for whoever has unlocked their vault. Views
say which by `signed_in` and `unlocked`; those hand them the visitor. Every form, on whatever page,
passes `refuse_forged` first.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec
from urllib.parse import urlencode

from flask import Response, redirect, request
from flask.typing import ResponseReturnValue

from api import security
from api.web import (
    forms,
    kept,
    uploads,
    visitors,
)
from pds.sessions import Visitor

P = ParamSpec("P")
View = Callable[P, ResponseReturnValue]
VisitorView = Callable[Concatenate[Visitor, P], ResponseReturnValue]

_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


def refuse_forged() -> ResponseReturnValue | None:
    """Refuse a form that does not come from our pages; runs before every view."""
    if request.method in _SAFE_METHODS:
        return None
    uploads.set_limit()
    given = request.form.get(forms.FIELD, "")
    if given.isascii() and security.form_is_genuine(forms.bound_to(), given):
        return None
    return kept.page(kept.Reason.STALE)


def signed_in(view: VisitorView[P]) -> View[P]:
    """Let in whoever is signed in, unlocked or not; send others to the sign-in page."""

    @wraps(view)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> ResponseReturnValue:
        visitor = visitors.current()
        return elsewhere("/sign-in") if visitor is None else view(visitor, *args, **kwargs)

    return guarded


def unlocked(view: VisitorView[P]) -> View[P]:
    """Let in whoever has unlocked their vault; send others to the page that comes first.

    A form that was sent after the vault had locked itself is kept and shown, not lost (CUX-21).
    """

    @wraps(view)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> ResponseReturnValue:
        visitor = visitors.current()
        if visitor is None:
            return elsewhere("/sign-in")
        if visitor.open_vault is not None:
            return view(visitor, *args, **kwargs)
        if request.method == "POST":
            return kept.page(kept.Reason.LOCKED)
        return elsewhere("/unlock")

    return guarded


def elsewhere(path: str, *, back: str = "/") -> Response:
    """Send the browser to a page that comes first, and back here afterwards.

    A form cannot be repeated by a redirect: whoever sent one comes to `back`.
    """
    if request.method == "GET":
        back = request.full_path.removesuffix("?")
    return see_other(f"{path}?{urlencode({'next': back})}")


def see_other(location: str) -> Response:
    """Redirect after a form, so that a reload does not repeat it (RFC 9110 section 15.4.4)."""
    response = redirect(location, 303)
    if not isinstance(response, Response):
        raise TypeError("Flask's own response class is expected")
    return response
