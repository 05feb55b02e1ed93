"""Codes and tokens as keys (TAK-28, TAK-39, P-12): minted, redeemed, refreshed, ended.

    authorization code -> GK     60 s, redeemed once
    refresh token      -> GK     as long as the agreement; does not rotate (DEC-1)
    access token       -> GK     10 min, bound to the client's proof key

Each is a row with a verifier, and a wrap of the grant key that only its secret opens. An access
token of client credentials has no wrap: it opens no data (TAK-36).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from authlib.oauth2.rfc6749 import InvalidGrantError, UnauthorizedClientError
from sqlalchemy import Connection, bindparam, delete, insert, select, update
from sqlalchemy.orm import Session

from api.oauth import refused_keys, stores
from api.oauth.clients import FROZEN, ClientRecord
from api.oauth.ext.clients import ConfidentialClient
from api.oauth.ext.grant_management import MERGE
from api.oauth.ext.grants import CodeRecord, RefreshRecord, TokenRequest
from api.oauth.ext.introspection_rfc7662 import IntrospectedToken
from api.oauth.finding import Found, TokenFinder, TokenGrant
from api.oauth.models import Token
from consent import freezing, grants, organisations
from consent.grants import GrantKeys, TokenBinding
from consent.log.entries import EventLog, grant_stream, seal_private
from consent.models import Grant, Organisation
from consent.organisations import pairwise_subject
from consent.vocabulary import LIVE_GRANT_STATES, EventName
from pds.clock import Clock
from pds.crypto.secrets import TokenSecret, mint
from pds.errors import DecryptionError
from pds.ids import IdFactory, new_bucket
from pds.instance import InstanceKeys
from pds.keys import VaultKeys, Wrapper
from pds.settings import Settings
from pds.store import Sender, Store, connection_of
from pds.vaults import audit_public_key

_USABLE = tuple(state.value for state in LIVE_GRANT_STATES)
_KEY_GENERATIONS = (
    select(Grant.key_generation, Organisation.key_generation)
    .join(Organisation, Organisation.id == Grant.organisation_id)
    .where(Grant.bucket == bindparam("b_bucket"), Grant.id == bindparam("b_grant"))
)
_INSERT = insert(Token)


@dataclass(frozen=True, slots=True)
class TokenService:
    """Mints and ends tokens."""

    store: Store
    settings: Settings
    keys: InstanceKeys
    ids: IdFactory
    clock: Clock
    log: EventLog
    finder: TokenFinder

    def new_code(self, bucket: int) -> TokenSecret:
        """Make the secret of an authorization code for a vault's bucket."""
        return mint("ac", self.ids.new(bucket))

    def code_expires_at(self) -> datetime:
        """Return when a code that is made now ends."""
        return self.clock.now() + timedelta(seconds=self.settings.oauth.code_seconds)

    def store_code(
        self,
        session: Session,
        code: TokenSecret,
        grant: Grant,
        *,
        payload: Mapping[str, str],
        dpop_jkt: str | None,
        expires_at: datetime,
    ) -> None:
        """Insert a code's row, in the transaction that makes its grant."""
        self._insert(
            session,
            code,
            grant=grant,
            client_id=grant.client_id,
            jkt=dpop_jkt,
            expires_at=expires_at,
            redirect_uri=payload["redirect_uri"],
            code_challenge=payload["code_challenge"],
            merges=payload.get("grant_management_action") == MERGE,
        )

    def redeem(self, text: str, client: ConfidentialClient) -> CodeRecord | None:
        """Return an unspent code of this client; one that was spent ends its tokens (BCP-B16)."""
        found = self.finder.find(text, "ac")
        if found is None or found.grant is None or not found.check_client(client):
            return None
        if found.row.consumed_at is not None:
            self._end_after_reuse(found.grant)
            return None
        return CodeRecord(
            client_id=client.client_id,
            user=found.grant.vault_id,
            scope="",
            redirect_uri=found.row.redirect_uri or "",
            code_challenge=found.row.code_challenge or "",
            issued_at=int(found.row.created_at.timestamp()),
            dpop_jkt=found.row.jkt,
            authorization_details=self.finder.granted_with(found),
            handle=found,
        )

    def refreshable(self, text: str) -> RefreshRecord | None:
        """Return a refresh token whose grant lives."""
        found = self.finder.find(text, "rt")
        if found is None or found.grant is None or found.grant.state not in _USABLE:
            return None
        return RefreshRecord(
            client_id=str(found.row.client_id),
            user=found.grant.vault_id,
            scope="",
            expires_at=int(found.row.expires_at.timestamp()),
            authorization_details=self.finder.granted_with(found),
            handle=found,
        )

    def issue(self, request: TokenRequest) -> dict[str, Any]:
        """Mint what a checked token request gets, and store it in one transaction.

        Raises:
            InvalidGrantError: the code was spent, or the grant ended, at the same moment.
            OAuth2Error: what the request was signed with was used before.
        """
        if request.credential is None:
            return self._issue_organisation_token(request)
        found: Found = request.credential.handle
        if found.grant is None:
            raise InvalidGrantError
        return self._issue_for_grant(request, found, found.grant)

    def revoke(self, found: Found) -> None:
        """End a token; a refresh token takes its access tokens along (RFC 7009 section 2.1)."""
        now = self.clock.now()

        def job(session: Session) -> None:
            if found.grant is None:
                self._delete(session, found.row.bucket, [found.row.selector])
                return
            grant = grants.lock(session, found.grant.bucket, found.grant.id)
            if grant is None:
                return
            selectors = [found.row.selector]
            if found.row.kind == "rt":
                selectors = self._selectors(session, grant)
            self._end(session, grant, selectors)
            self._log(session, grant, EventName.TOKEN_REVOKED, now, count=len(selectors))

        self.store.write(job)

    def follow_terms(self, session: Session, grant: Grant, narrows: bool) -> None:  # noqa: FBT001 - `consent.amendments.FollowTerms`
        """Have a grant's tokens follow an amendment, in its transaction (P-13).

        Refresh tokens go on to the new end, and access tokens as well unless something that they
        were issued for is permitted no more.
        """
        vault = VaultKeys(self.keys.deployment, grant.bucket, grant.vault_id)
        refresh = self._selectors(session, grant, "rt")
        session.execute(
            update(Token)
            .where(Token.bucket == grant.bucket, Token.selector.in_(refresh))
            .values(expires_at=grant.expires_at)
        )
        vault.keep_until(session, "token", refresh, grant.expires_at)
        if narrows:
            self._end(session, grant, self._selectors(session, grant, "at"))

    def confirm(self, session: Session, grant: Grant) -> None:
        """Let a frozen grant go on, in the transaction of its person's decision.

        Codes and tokens of before end with their wraps: the thief may have them.
        """
        key_generation = organisations.get(session, grant.organisation_id).key_generation
        if grant.key_generation == key_generation:
            return
        selectors = self._selectors(session, grant, "ac", "at", "rt")
        self._end(session, grant, selectors)
        freezing.confirm(session, grant, key_generation)
        now = self.clock.now()
        self._log(session, grant, EventName.ORGANISATION_THAWED, now, count=len(selectors))

    def introspect(self, text: str) -> IntrospectedToken | None:
        """Return what there is to say of a live token, never its key."""
        found = self.finder.find(text, "at", "rt")
        if found is None or (found.grant and found.grant.state not in _USABLE):
            return None
        row, grant = found.row, found.grant
        return IntrospectedToken(
            client_id=str(row.client_id),
            scope=row.scope,
            issued_at=int(row.created_at.timestamp()),
            expires_at=int(row.expires_at.timestamp()),
            jkt=row.jkt,
            sub=None
            if grant is None
            else pairwise_subject(self.keys.pairwise, grant.organisation_id, grant.vault_id),
            authorization_details=self.finder.granted_with(found),
        )

    def _issue_for_grant(
        self, request: TokenRequest, found: Found, grant: TokenGrant
    ) -> dict[str, Any]:
        now = self.clock.now()
        opened = self._open(found, grant)
        # Whole seconds: the expiry is bound into the wrap in that form.
        expires_at = (now + timedelta(seconds=request.expires_in)).replace(microsecond=0)
        access = mint("at", self.ids.new(grant.bucket))
        access_binding = TokenBinding(
            "at", access.selector, grant.id, grant.client_id, request.dpop_jkt, expires_at
        )
        wraps = [opened.wrap_for(access, access_binding)]
        refresh: TokenSecret | None = None
        if request.include_refresh_token:
            refresh = mint("rt", self.ids.new(grant.bucket))
            binding = TokenBinding(
                "rt", refresh.selector, grant.id, grant.client_id, expires_at=grant.expires_at
            )
            wraps.append(opened.wrap_for(refresh, binding))
        is_code = found.row.kind == "ac"
        name = EventName.TOKEN_ISSUED if is_code else EventName.TOKEN_REFRESHED
        private = seal_private({"vault": str(grant.vault_id)}, grant_key=opened.audit_key)

        def job(rows: Connection) -> None:
            _use_up(rows, request)
            seq = grants.next_live_seq(rows, grant.bucket, grant.id, now=now)
            if seq is None:
                raise InvalidGrantError
            self._check_keys(rows, request, grant)
            if is_code:
                self._consume(rows, found, now)
            opened.vault.store(rows, wraps, now=now)
            self._insert(
                rows,
                access,
                grant=grant,
                client_id=grant.client_id,
                jkt=request.dpop_jkt,
                expires_at=expires_at,
            )
            if found.row.merges:
                # Now, not with the approval: a code that is lost must lose nothing (GM-M5).
                self._end(rows, grant, self._selectors(rows, grant, "rt"))
            if refresh is not None:
                self._insert(
                    rows,
                    refresh,
                    grant=grant,
                    client_id=grant.client_id,
                    expires_at=grant.expires_at,
                )
            self.log.append(
                rows,
                bucket=grant.bucket,
                stream=grant_stream(grant.id),
                seq=seq,
                name=name,
                at=now,
                private=private,
                vault_id=grant.vault_id,
                grant_id=grant.id,
                client=grant.client_id,
            )

        self.store.write_rows(job)
        body = {
            "access_token": access.text(),
            "expires_in": request.expires_in,
            "grant_id": str(grant.id),
        }
        if refresh is not None:
            body["refresh_token"] = refresh.text()
        return body

    def _issue_organisation_token(self, request: TokenRequest) -> dict[str, Any]:
        now = self.clock.now()
        record: Any = request.client.handle
        client: ClientRecord = record
        access = mint("at", self.ids.new(new_bucket()))
        expires_at = now + timedelta(seconds=request.expires_in)

        def job(session: Session) -> None:
            _use_up(session, request)
            # Its row is held, so that a freeze finds every token that was issued before it.
            if organisations.hold(session, client.organisation_id).is_frozen:
                raise UnauthorizedClientError(description=FROZEN)
            _refuse_known_key(session, request.dpop_jkt)
            self._insert(
                session,
                access,
                grant=None,
                client_id=client.id,
                jkt=request.dpop_jkt,
                expires_at=expires_at,
                scope=request.scope,
            )
            self.log.append_deployment(session, EventName.TOKEN_ISSUED, at=now)

        self.store.write(job)
        return {"access_token": access.text(), "expires_in": request.expires_in}

    def _check_keys(self, sender: Sender, request: TokenRequest, found_under: TokenGrant) -> None:
        """Refuse for a grant that was frozen, or confirmed anew, since it was looked at."""
        place = {"b_bucket": found_under.bucket, "b_grant": found_under.id}
        of_grant, of_organisation = sender.execute(_KEY_GENERATIONS, place).one()
        if not found_under.key_generation == of_grant == of_organisation:
            raise InvalidGrantError
        _refuse_known_key(sender, request.dpop_jkt)

    def _open(self, found: Found, grant: TokenGrant) -> GrantKeys:
        row = found.row
        vault = VaultKeys(self.keys.deployment, grant.bucket, grant.vault_id)
        confirmation = (row.jkt or "") if row.kind == "ac" else ""
        binding = TokenBinding(
            row.kind, row.selector, grant.id, row.client_id, confirmation, row.expires_at
        )
        with self.store.rows() as connection:
            wraps = vault.load(connection, Wrapper("token", row.selector))
        try:
            for _, blob in wraps:
                return GrantKeys.from_token(vault, binding, found.secret, blob)
        except DecryptionError as exc:
            raise InvalidGrantError from exc
        raise InvalidGrantError

    def _consume(self, sender: Sender, found: Found, now: datetime) -> None:
        consumed = sender.execute(
            update(Token)
            .where(
                Token.bucket == found.row.bucket,
                Token.selector == found.row.selector,
                Token.consumed_at.is_(None),
            )
            .values(consumed_at=now)
            .returning(Token.selector)
        ).one_or_none()
        if consumed is None:
            raise InvalidGrantError
        grant = found.grant
        if grant is not None:
            vault = VaultKeys(self.keys.deployment, grant.bucket, grant.vault_id)
            vault.delete_by(sender, "token", [found.row.selector])

    def _end_after_reuse(self, grant: TokenGrant) -> None:
        now = self.clock.now()

        def job(session: Session) -> None:
            locked = grants.lock(session, grant.bucket, grant.id)
            if locked is None:
                return
            selectors = self._selectors(session, locked)
            self._end(session, locked, selectors)
            self._log(session, locked, EventName.CODE_REUSED, now, count=len(selectors))

        self.store.write(job)

    def _selectors(self, sender: Sender, grant: Grant | TokenGrant, *kinds: str) -> list[UUID]:
        query = select(Token.selector).where(
            Token.bucket == grant.bucket,
            Token.grant_id == grant.id,
            Token.kind.in_(kinds or ("at", "rt")),
        )
        return list(sender.scalars(query))

    def _end(self, sender: Sender, grant: Grant | TokenGrant, selectors: list[UUID]) -> None:
        vault = VaultKeys(self.keys.deployment, grant.bucket, grant.vault_id)
        vault.delete_by(sender, "token", selectors)
        self._delete(sender, grant.bucket, selectors)

    def _delete(self, sender: Sender, bucket: int, selectors: list[UUID]) -> None:
        sender.execute(delete(Token).where(Token.bucket == bucket, Token.selector.in_(selectors)))

    def _log(
        self, session: Session, grant: Grant, name: EventName, now: datetime, *, count: int
    ) -> None:
        public_key = audit_public_key(session, grant.bucket, grant.vault_id)
        self.log.append(
            session,
            bucket=grant.bucket,
            stream=grant_stream(grant.id),
            seq=grants.next_seq(session, grant.bucket, grant.id),
            name=name,
            at=now,
            private=seal_private({"vault": str(grant.vault_id)}, audit_public_key=public_key),
            vault_id=grant.vault_id,
            grant_id=grant.id,
            client=grant.client_id,
            count=count,
        )

    def _insert(
        self,
        sender: Sender,
        secret: TokenSecret,
        *,
        grant: Grant | TokenGrant | None,
        client_id: UUID,
        expires_at: datetime,
        jkt: str | None = None,
        scope: str = "",
        redirect_uri: str | None = None,
        code_challenge: str | None = None,
        merges: bool = False,
    ) -> None:
        row = {
            "bucket": self.ids.bucket_of(secret.selector),
            "selector": secret.selector,
            "kind": secret.kind,
            "verifier": secret.verifier(),
            "client_id": client_id,
            "grant_id": grant.id if grant else None,
            "jkt": jkt,
            "scope": scope,
            "created_at": self.clock.now(),
            "expires_at": expires_at,
            "redirect_uri": redirect_uri,
            "code_challenge": code_challenge,
            "merges": merges,
        }
        connection_of(sender).execute(_INSERT, row)


def _use_up(sender: Sender, request: TokenRequest) -> None:
    replayed = stores.use_up(sender, request.one_time_values)
    if replayed is not None:
        raise replayed.used_before()


def _refuse_known_key(sender: Sender, jkt: str) -> None:
    if refused_keys.is_refused(sender, jkt):
        raise InvalidGrantError("the proof key is refused: it was in use at a freeze")
