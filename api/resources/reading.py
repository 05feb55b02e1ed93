"""A consented read: two reads and one write job, and no data without its log entry (P-7, D9).

    1  the live grant             api.resources.authentication, api.oauth.live
    2  records after the cursor   pds.feed, filtered to the sealed terms
    3  one write job              proof used up; grant still what was decided on; event and leaf

Nothing that a person's vault holds leaves before (3) has committed. If the grant changed between
decision and commit, the answer is thrown away.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import Connection, bindparam, case, or_, update
from sqlalchemy.orm import Session

from api.oauth.live import LiveGrant, Opened
from api.releasing import Release
from api.resources.authentication import Presented
from api.wiring import Wiring
from consent import one_time, policy
from consent.log.entries import EntryRef, grant_stream, seal_private
from consent.models import Grant
from consent.organisations import serves_grant
from consent.vocabulary import AccessMode, Action, DenialReason, EventName, GrantState
from pds import feed
from pds.crypto.labels import GRANT_ETAG, derive
from pds.crypto.sealed_box import Kind, open_box, seal
from pds.errors import DecryptionError, NotFoundError
from pds.feed import Change, GrantView

PAGE_RECORDS = 100
PAGE_RECORDS_MOST = 500
FETCH_SECONDS = 900  # a first page and its follow-ups count once within this time (P-10)
_CURSOR_BYTES = 96  # four numbers of up to 19 digits; the length tells nothing of them

_TAKE = (
    update(Grant)
    .where(
        Grant.bucket == bindparam("b_bucket"),
        Grant.id == bindparam("b_grant"),
        Grant.state == GrantState.ACTIVE.value,
        Grant.epoch == bindparam("b_epoch"),
        Grant.expires_at > bindparam("b_now"),
        or_(
            bindparam("b_counted") == 0,
            Grant.fetch_day != bindparam("b_day"),
            Grant.fetches_today < bindparam("b_limit"),
        ),
        serves_grant(bindparam("b_organisation")),
    )
    .values(
        seq=Grant.seq + 1,
        last_read_at=bindparam("b_now"),
        reads=Grant.reads + 1,
        fetches_today=case(
            (Grant.fetch_day == bindparam("b_day"), Grant.fetches_today + bindparam("b_counted")),
            else_=bindparam("b_counted"),
        ),
        fetch_day=bindparam("b_day"),
    )
    .returning(Grant.seq)
)


class CursorExpiredError(Exception):
    """The cursor is of another grant, agreement version or selection: list again (P-23)."""


class ChangedError(Exception):
    """The grant is no longer what was decided on: the job is rolled back."""


class DeniedError(Exception):
    """The release is refused, and the refusal is logged."""

    def __init__(self, reason: DenialReason) -> None:
        super().__init__(reason.value)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where a reader is: up to date at `base`, within a fetch at `position`.

    `fetch_started` is the second at which the fetch in progress began, and `began` the vault's
    sequence number at that instant; 0: none is.
    """

    base: int = 0
    position: int = 0
    fetch_started: int = 0
    began: int = 0


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes out once the entry is durable; `body` is None for 304."""

    body: bytes | None = field(repr=False)
    etag: str
    entry: EntryRef


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads for grants."""

    services: Wiring

    def page(
        self,
        presented: Presented,
        *,
        collection: str | None,
        cursor_text: str | None,
        limit: int,
        if_none_match: str | None,
    ) -> Answer:
        """Return the next page of the feed; without a cursor the snapshot from the beginning.

        Raises:
            CursorExpiredError: list again without a cursor.
            DeniedError: not permitted; logged.
            InvalidDPoPProofError: the proof was used before.
        """
        now = self.services.clock.now()
        grant = presented.grant
        cursor = self._open_cursor(cursor_text, grant, collection)
        follows_up = 0 <= int(now.timestamp()) - cursor.fetch_started < FETCH_SECONDS
        opened = self._decide(presented, collection, now, follows_up=follows_up)
        if cursor.base and opened.terms.access is AccessMode.ONCE:
            # What was agreed is one fetch and its repetition, not what changes afterwards.
            raise CursorExpiredError
        release = self._release(grant, opened)
        view = release.view(collection)
        began = cursor.began or grant.vault_seq
        with self.services.uow.rows() as connection:
            page = feed.read_page(
                connection,
                view,
                base=cursor.base,
                position=cursor.position,
                began=began,
                upto=grant.vault_seq,
                limit=limit,
            )
        content = release.content(
            collection,
            page.changes,
            is_whole=cursor.base == 0 and not page.has_more and cursor.position == 0,
        )
        content["has_more"] = page.has_more
        etag = _etag(opened, content)
        is_known = if_none_match == etag
        counted = bool(page.changes) and not follows_up and not is_known
        entry = self._commit(
            presented, opened, now, view, page.changes, delivered=not is_known, counted=counted
        )
        if is_known:
            return Answer(None, etag, entry)
        started = cursor.fetch_started if follows_up else int(now.timestamp())
        following = (
            Cursor(cursor.base, page.position, started, began)
            if page.has_more
            else Cursor(page.position, page.position)
        )
        content["next_cursor"] = self._seal_cursor(following, grant, collection)
        return Answer(orjson.dumps(content), etag, entry)

    def one(self, presented: Presented, collection: str, public_id: UUID) -> Answer:
        """Return one record.

        Raises:
            NotFoundError: there is none that this grant sees; logged with count 0.
            DeniedError: not permitted; logged.
            InvalidDPoPProofError: the proof was used before.
        """
        now = self.services.clock.now()
        opened = self._decide(presented, collection, now, follows_up=False)
        release = self._release(presented.grant, opened)
        view = release.view(collection)
        record_id = release.names.inverse(public_id)
        with self.services.uow.rows() as connection:
            change = feed.read_one(connection, view, record_id)
        found = [change] if change else []
        entry = self._commit(
            presented, opened, now, view, found, delivered=True, counted=bool(found)
        )
        if change is None:
            raise NotFoundError
        content = release.content(collection, found, is_whole=False)
        return Answer(orjson.dumps(content), _etag(opened, content), entry)

    def deny(self, presented: Presented, reason: DenialReason) -> DeniedError:
        """Log a refusal in a transaction of its own, and return what to raise."""
        now, grant = self.services.clock.now(), presented.grant

        def job(session: Session) -> None:
            presented.use_proof(session)
            seq = session.execute(
                update(Grant)
                .where(Grant.bucket == grant.bucket, Grant.id == grant.grant_id)
                .values(seq=Grant.seq + 1)
                .returning(Grant.seq)
                .execution_options(synchronize_session=False)
            ).scalar_one()
            self.services.log.append(
                session,
                bucket=grant.bucket,
                stream=grant_stream(grant.grant_id),
                seq=seq,
                name=EventName.DATA_READ_DENIED,
                at=now,
                vault_id=grant.vault_id,
                grant_id=grant.grant_id,
                client=grant.client_id,
                agreement_sha256=grant.agreement_sha256,
                outcome=reason.value,
            )

        self.services.uow.write(job)
        return DeniedError(reason)

    def _decide(
        self, presented: Presented, collection: str | None, now: datetime, *, follows_up: bool
    ) -> Opened:
        grant, opened = presented.grant, presented.grant.opened
        reason = policy.decide(
            grant.terms,
            grant.facts.with_counted_fetch() if follows_up else grant.facts,
            action=Action.READ,
            collections=None if collection is None else [collection],
            now=now,
        )
        if reason is not None or opened is None:
            raise self.deny(presented, reason or DenialReason.CHANGED)
        return opened

    def _release(self, grant: LiveGrant, opened: Opened) -> Release:
        return Release(self.services.keys.deployment, grant, opened, self.services.today)

    def _commit(  # noqa: PLR0917 - step 3 of the read, private
        self,
        presented: Presented,
        opened: Opened,
        now: datetime,
        view: GrantView,
        changes: list[Change],
        delivered: bool,  # noqa: FBT001 - as above
        counted: bool,  # noqa: FBT001 - as above
    ) -> EntryRef:
        grant, terms = presented.grant, opened.terms
        told = changes if delivered else []
        private = seal_private(
            {
                "vault": str(grant.vault_id),
                "records": [[str(each.id), each.version, each.box_sha256] for each in told],
            },
            grant_key=opened.keys.audit_key,
        )
        parameters = {
            "b_bucket": grant.bucket,
            "b_grant": grant.grant_id,
            "b_epoch": grant.epoch,
            "b_now": now,
            "b_counted": int(counted),
            "b_day": grant.day,
            "b_limit": terms.fetches_per_day,
            "b_organisation": grant.organisation_id,
        }

        is_once = counted and terms.access is AccessMode.ONCE

        def job(connection: Connection) -> EntryRef:
            presented.use_proof(connection)
            if is_once:
                one_time.begin(
                    connection,
                    bucket=grant.bucket,
                    agreement_id=grant.agreement_id,
                    grant_id=grant.grant_id,
                    now=now,
                )
            seq = connection.execute(_TAKE, parameters).scalar_one_or_none()
            if seq is None:
                raise ChangedError
            if is_once:
                one_time.note(connection, bucket=grant.bucket, grant_id=grant.grant_id, now=now)
            return self.services.log.append(
                connection,
                bucket=grant.bucket,
                stream=grant_stream(grant.grant_id),
                seq=seq,
                name=EventName.DATA_READ,
                at=now,
                private=private,
                vault_id=grant.vault_id,
                grant_id=grant.grant_id,
                client=grant.client_id,
                collections=sorted(view.collections),
                purpose=terms.purpose,
                agreement_sha256=terms.agreement_sha256,
                count=len(told),
            )

        try:
            return self.services.uow.write_rows(job)
        except ChangedError as exc:
            raise self.deny(presented, DenialReason.CHANGED) from exc

    def _seal_cursor(self, cursor: Cursor, grant: LiveGrant, collection: str | None) -> str:
        text = orjson.dumps([cursor.base, cursor.position, cursor.fetch_started, cursor.began])
        box = seal(
            self.services.keys.cursor,
            text.ljust(_CURSOR_BYTES),
            kind=Kind.AT_REST,
            key_version=1,
            fields=_cursor_fields(grant, collection),
        )
        return base64.urlsafe_b64encode(box).rstrip(b"=").decode("ascii")

    def _open_cursor(self, text: str | None, grant: LiveGrant, collection: str | None) -> Cursor:
        if text is None:
            return Cursor()
        try:
            padded = text + "=" * (-len(text) % 4)
            box = base64.b64decode(padded, altchars=b"-_", validate=True)
            fields = _cursor_fields(grant, collection)
            opened = open_box(self.services.keys.cursor, box, kind=Kind.AT_REST, fields=fields)
        except (DecryptionError, binascii.Error, ValueError) as exc:
            raise CursorExpiredError from exc
        return Cursor(*orjson.loads(opened))


def _etag(opened: Opened, content: Mapping[str, Any]) -> str:
    key = derive(opened.keys.key, GRANT_ETAG)
    digest = hmac.digest(key, orjson.dumps(content), "sha256")
    return f'"{digest[:16].hex()}"'


def _cursor_fields(grant: LiveGrant, collection: str | None) -> tuple[bytes, ...]:
    return (
        b"cursor",
        grant.grant_id.bytes,
        grant.agreement_id.bytes,
        grant.agreement_version.to_bytes(4, "big"),
        (collection or "").encode(),
    )
