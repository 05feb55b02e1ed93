"""Organisations' own keys, where the operator makes or uses them on an organisation's behalf."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy.orm import Session

from api.oauth import clients
from api.wiring import Wiring
from consent import template_format, templates
from consent.formats import jws
from consent.formats.encoding import b64u, b64u_decode
from consent.vocabulary import EventName
from pds.errors import Issue, ValidationFailedError


def new_jwk() -> dict[str, str]:
    """Return a fresh private Ed25519 JWK (RFC 8037), for client assertions and documents."""
    private = Ed25519PrivateKey.generate()
    public = b64u(private.public_key().public_bytes_raw())
    return {
        "kty": "OKP",
        "crv": "Ed25519",
        "use": "sig",
        "kid": f"org-{public[:12]}",
        "x": public,
        "d": b64u(private.private_bytes_raw()),
    }


def publish_template(
    services: Wiring, document: Mapping[str, Any], private_jwk: Mapping[str, str]
) -> templates.Template:
    """Sign a template with an organisation's key and publish it.

    Raises:
        ValidationFailedError: the template or the key is wrong.
        ConflictError: it is not the next version.
    """
    try:
        private = Ed25519PrivateKey.from_private_bytes(b64u_decode(private_jwk["d"]))
        kid = str(private_jwk["kid"])
    except (KeyError, ValueError, AttributeError) as exc:
        issue = Issue("key", "key", "give a private Ed25519 JWK, with `kid` and `d`")
        raise ValidationFailedError([issue]) from exc
    try:
        organisation = UUID(str(document.get("organisation")))
    except ValueError as exc:
        issue = Issue("organisation", "organisation", "name the organisation by its id")
        raise ValidationFailedError([issue]) from exc
    signed = jws.sign(dict(document), private, kid=kid, typ=template_format.TYPE)
    now = services.clock.now()

    def job(session: Session) -> templates.Template:
        keys = clients.signing_keys(session, organisation, now=now)
        published = templates.publish(session, signed, keys=keys, now=now)
        services.log.append_deployment(session, EventName.TEMPLATE_PUBLISHED, at=now)
        return published

    return services.uow.write(job)
