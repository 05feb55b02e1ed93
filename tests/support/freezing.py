"""An organisation that is frozen and thawed, as its operator does it."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

from api.oauth import clients
from consent.vocabulary import FreezeReason
from tests.support.oauth_client import Client, new_key, public_jwks


def freeze(shop, reason=FreezeReason.KEYS_STOLEN):
    """Freeze an organisation; tells whether it was not frozen yet."""
    return shop.world.services.freezing.freeze(shop.id, reason=reason)


def with_new_keys(shop):
    """Rotate and thaw, as the operator does; returns the organisation with its new keys."""
    services, signing = shop.world.services, new_key("Ed25519", kid="fresh")
    services.uow.write(
        lambda session: clients.rotate_keys(
            session, UUID(shop.client.client_id), public_jwks(signing)
        )
    )
    services.freezing.thaw(shop.id, services.freezing.keys(shop.id))
    client = Client.of_metadata(
        shop.world.http,
        shop.client.client_id,
        shop.world.issuer,
        signing,
        clock=lambda: services.clock.now().timestamp(),
    )
    return replace(shop, client=client, token="")
