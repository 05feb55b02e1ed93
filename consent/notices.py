"""What a person is shown before they decide, as data (P-28, AUD-4).

The notice is canonical JSON without example values. Its hash travels through the consent form; the
decision's POST builds the notice again from the present rows, and if the hash differs the page is
shown again with the change. So what was decided on is what was shown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.orm import Session

from consent import choices, durations
from consent.asks import Ask
from consent.formats import canonical
from consent.models import Notice, Organisation
from pds.errors import NotFoundError

VERSION = "pds-notice/2"


def build(
    ask: Ask,
    organisation: Organisation,
    *,
    locale: str,
    amends: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the notice of an ask in one language, `az` or `en`.

    `amends` is what `amendments.describe` says of the agreement in force; None: there is none.
    """
    document = ask.template.document
    return {
        "type": VERSION,
        "locale": locale,
        "organisation": recipient(organisation, locale),
        "client": {"id": str(ask.client_id), "name": ask.client_names.get(locale, ask.client_name)},
        # The whole host: where the person will land is theirs to judge (CUX-19).
        "redirect_host": urlsplit(ask.redirect_uri).netloc,
        "template": {
            "id": str(ask.template.id),
            "version": ask.template.version,
            "sha256": ask.template.sha256,
            "name": document["name"][locale],
        },
        "purpose": document["purpose"],
        "purpose_text": document["purpose_text"][locale],
        "lawful_basis": document["lawful_basis"],
        "actions": list(ask.actions),
        "required": _items(ask, ask.required, locale),
        "optional": _items(ask, ask.optional, locale),
        "instances": choices.instances(ask),
        "frequencies": choices.frequencies(ask),
        "durations": durations.choices(ask.duration),
        "access": dict(document["access"]),
        "data_from": dict(document["data_from"]),
        "retention": {
            "after_end": document["retention"]["after_end"],
            "text": document["retention"]["text"][locale],
        },
        "storage_location": document["storage_location"],
        "recipients": list(document["recipients"]),
        "automated_decisions": document["automated_decisions"],
        "if_refused": document["if_refused"][locale],
        "complaint": document["complaint"][locale],
        "jurisdiction": document["jurisdiction"],
        "flags": list(ask.flags),
        # Which, never what it says: notices are kept in the open.
        "invitation": str(ask.invitation) if ask.invitation else None,
        "clauses": uniform.shown(locale) if (uniform := ask.template.clauses) else None,
        "amends": dict(amends) if amends is not None else None,
    }


def recipient(organisation: Organisation, locale: str) -> dict[str, str]:
    """Return what a notice says of the organisation itself."""
    return {
        "id": str(organisation.id),
        "name": organisation.name_az if locale == "az" else organisation.name_en,
        "contact": organisation.contact,
        "address": organisation.address,
        "standing": organisation.standing,
    }


def notice_sha256(notice: Mapping[str, Any]) -> str:
    """Return the hash by which a notice is known."""
    return canonical.sha256_hex(dict(notice))


def keep(session: Session, notice: Mapping[str, Any], *, now: datetime) -> str:
    """Store a notice that is being shown; returns its hash. Each text is stored once."""
    sha256 = notice_sha256(notice)
    insert = sqlite_insert if session.get_bind().dialect.name == "sqlite" else postgresql_insert
    session.execute(
        insert(Notice)
        .values(sha256=sha256, document=canonical.canonical_bytes(dict(notice)), first_shown_at=now)
        .on_conflict_do_nothing(index_elements=["sha256"])
    )
    return sha256


def find(session: Session, sha256: str) -> dict[str, Any]:
    """Return a notice as it was shown.

    Raises:
        NotFoundError: none of that hash was ever shown.
    """
    row = session.get(Notice, sha256)
    document = canonical.parse(row.document) if row else None
    if not isinstance(document, dict):
        raise NotFoundError
    return document


def _items(ask: Ask, attributes: Sequence[str], locale: str) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "reason": ask.template.reason(name, locale),
            "coarsened_to": ask.template.coarsened_to(name),
            "coarsenings": list(choices.coarsenings(ask, name)),
        }
        for name in attributes
    ]
