"""What a checked authorization request asks of a person, in the words of the consent domain.

A request that manages a grant (`api.oauth.ext.grant_management`) asks for more than it says: a
merge also for all that is agreed already, so that it takes nothing away.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any
from uuid import UUID

from authlib.oauth2.rfc6749 import OAuth2Request
from sqlalchemy.orm import Session

from api.oauth.clients import ClientRecord
from api.oauth.ext.clients import ConfidentialClient
from api.oauth.ext.par_rfc9126 import InvalidRequestURIError
from consent import client_grants, requests
from consent.asks import Ask
from consent.client_grants import ClientGrant
from consent.errors import AskRefusedError
from consent.requests import Asker
from pds.clock import Clock
from pds.ids import IdFactory
from pds.store import Store

Details = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Asking:
    """Holds requests against their templates, and against the grants that they name."""

    store: Store
    ids: IdFactory
    clock: Clock
    resource: str  # the one location that may be named

    def ask(self, request: OAuth2Request, redirect_uri: str) -> tuple[Ask, Details]:
        """Return what a request with one authorization detail asks, and that detail in full.

        Raises:
            AskRefusedError: as `consent.requests.check`, or it is about another template than the
                grant that it names.
        """
        check = partial(
            requests.check,
            asker=_asker(request.client, redirect_uri),
            resource=self.resource,
            now=self.clock.now(),
        )
        details, managed = request.authorization_details[0], request.grant_management
        with self.store.read() as session:
            ask = check(session, details=details)
            if managed is None or managed.grant_id is None:
                return replace(ask, starts_anew=managed is not None), details
            grant = self._grant(session, request.client, managed.grant_id)
            if grant is None:
                raise AskRefusedError("grant_id: there is no such grant any more")
            if grant.template_id != ask.template.id:
                raise AskRefusedError("template: not the one of the grant")
            details = requests.merged(details, grant.document, ask.template)
            return replace(check(session, details=details), merges=grant.grant.id), details

    def owns_grant(self, client: ConfidentialClient, text: str) -> bool:
        """Tell whether a client has a live grant of this id."""
        with self.store.read() as session:
            return self._grant(session, client, text) is not None

    def _grant(self, session: Session, client: ConfidentialClient, text: str) -> ClientGrant | None:
        return client_grants.find(
            session, self.ids, text, client_id=UUID(client.client_id), now=self.clock.now()
        )


def _asker(client: ConfidentialClient, redirect_uri: str) -> Asker:
    record = client.handle
    if not isinstance(record, ClientRecord):
        raise InvalidRequestURIError
    return Asker(
        client_id=UUID(client.client_id),
        client_name=record.name,
        organisation_id=record.organisation_id,
        redirect_uri=redirect_uri,
        client_names=record.names,
    )
