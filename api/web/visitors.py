"""Who is there: the person behind a request's cookies, and how they come and go (P-15)."""

from __future__ import annotations

from flask import g, request

from api.web import cookies, devices, flashes
from api.wiring import wiring
from consent.custody import Housekeeping
from pds.accounts import Entrance
from pds.crypto.secrets import TokenSecret, parse
from pds.errors import VaultLockedError
from pds.sessions import Visitor

_MOST_MARKS = 5  # people who signed in with one browser


def current() -> Visitor | None:
    """Return the signed-in person, or None; asked once in a request."""
    if "visitor" not in g:
        g.visitor = _resolve()
    found: Visitor | None = g.visitor
    return found


def start(entrance: Entrance) -> Housekeeping:
    """Sign in and unlock: new cookies, and whatever waited for the owner is done."""
    services, before = wiring(), current()
    if before is not None:
        services.sessions.sign_out(before.vault.id, before.sign_in)
    marks, mark = cookies.read("d").split("."), services.sessions.device_mark(entrance.ref.id)
    signed, opened = services.sessions.sign_in(
        entrance,
        device=devices.name(request.headers.get("User-Agent", "")),
        is_known_device=mark in marks,
    )
    kept = [mark, *(one for one in marks if one != mark)][:_MOST_MARKS]
    cookies.put("d", ".".join(kept).rstrip("."), max_age_seconds=cookies.A_YEAR)
    # Nobody who signs in needs one; and whoever used one may have been somebody else (P-16).
    cookies.drop("r")
    if services.limited_sign_ins.end_all(entrance.ref):
        flashes.put("limited-used")
    if services.unmasking.waits_for(entrance.ref):
        flashes.put("unmasking-asked")
    cookies.put("s", signed.text(), max_age_seconds=services.settings.vault.sign_in_seconds)
    return _open(signed, opened)


def unlock(visitor: Visitor, entrance: Entrance) -> Housekeeping:
    """Unlock for someone who is signed in."""
    signed = _signed_in_secret()
    if signed is None:
        raise VaultLockedError
    return _open(signed, wiring().sessions.unlock(entrance, visitor.sign_in))


def _open(signed: TokenSecret, opened: TokenSecret) -> Housekeeping:
    services = wiring()
    cookies.put("u", opened.text(), max_age_seconds=services.settings.vault.unlock_seconds)
    visitor = services.sessions.resolve(signed, opened)
    if visitor is None or visitor.open_vault is None:
        raise VaultLockedError
    g.visitor = visitor
    return services.custody.after_unlock(visitor.vault, visitor.open_vault)


def end(visitor: Visitor) -> None:
    """Sign out."""
    wiring().sessions.sign_out(visitor.vault.id, visitor.sign_in)
    cookies.drop("s")
    cookies.drop("u")
    g.visitor = None


def lock(visitor: Visitor) -> None:
    """Lock the vault; the person stays signed in."""
    wiring().sessions.lock(visitor.vault.id, visitor.sign_in)
    cookies.drop("u")


def _resolve() -> Visitor | None:
    signed = _signed_in_secret()
    if signed is None:
        return None
    return wiring().sessions.resolve(signed, parse(cookies.read("u"), "u"))


def _signed_in_secret() -> TokenSecret | None:
    return parse(cookies.read("s"), "s")
