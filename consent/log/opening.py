"""Opening the private parts of the log with the keys of their owner, who is unlocked (P-32)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from consent.formats.bundle import PrivateOpening
from consent.formats.canonical import JSONValue
from consent.grants import GrantKeys
from consent.log.entries import open_private
from consent.log.reader import LoggedEvent
from pds.errors import DecryptionError, KeyUnavailableError
from pds.keys import OpenVault


@dataclass(frozen=True, slots=True)
class Opener:
    """Opens what was sealed for one vault's owner; an `OpenPrivate` of `consent.log.evidence`."""

    vault: OpenVault

    def __call__(self, event: LoggedEvent) -> PrivateOpening | None:
        """Return the private part with its blinding; None if there is none, or it does not open."""
        if event.sealed.box is None:
            return None
        try:
            if event.sealed.key_kind == "audit":
                key = self.vault.key("audit", str(self.vault.keys.vault_id), 1)
            elif event.grant_id is not None:
                key = GrantKeys.from_owner(self.vault, event.grant_id).audit_key
            else:
                return None
            private, r_priv = open_private(event.sealed, key)
        except (KeyUnavailableError, DecryptionError):
            # One entry that does not open must not hide the others.
            return None
        return PrivateOpening(cast(dict[str, JSONValue], private), r_priv)
