"""Evidence as auditors take it: all streams up to the signed checkpoint, and who took it when.

Public parts only: no name, no value, no vault is in it (AUD-1).
"""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from api.wiring import Wiring
from consent import auditors
from consent.formats.bundle import Hints
from consent.log import evidence
from consent.log.evidence import DEPLOYMENT, Stream
from consent.models import Event
from consent.vocabulary import EventName


def export(services: Wiring, access: str) -> bytes | None:
    """Return the evidence as `pds-bundle/1`; None if `access` is no living auditor's.

    Raises:
        NotFoundError: nothing is signed yet.
    """
    now = services.clock.now()
    with services.uow.read() as session:
        if auditors.find(session, access, now=now) is None:
            return None
    services.uow.write(
        lambda session: services.log.append_deployment(session, EventName.EVIDENCE_EXPORTED, at=now)
    )
    with services.uow.read() as session:
        bundle = evidence.build_bundle(session, _all_streams(session), hints=_hints(services))
    return bundle.to_bytes()


def _hints(services: Wiring) -> Hints:
    # Keys that travel along; a verifier trusts its own (P-34).
    public = services.receipts.key.public_key().public_bytes_raw()
    return Hints(
        vkeys=(services.log_signer.verifier.to_text(),),
        receipt_keys={services.receipts.kid: public},
    )


def _all_streams(session: Session) -> list[Stream]:
    query = select(Event.bucket, Event.stream).distinct()
    return [Stream(bucket, name) for bucket, name in session.execute(query)] or [DEPLOYMENT]
