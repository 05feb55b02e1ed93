"""A second factor at sign-in, of either kind: a code of an app, or a passkey (P-19, ADR 0025).

Whoever has set up one or more of them proves any one, beside the passphrase. The recovery code
turns all of them off, so that a lost telephone or key loses no vault.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from pds.app_codes import AppCodeService
from pds.events import VaultRef
from pds.passkeys import PasskeyService
from pds.webauthn import Answer

# The code that was typed, empty if none was, or what a passkey answered.
Proof = str | Answer


@dataclass(frozen=True, slots=True)
class SecondFactors:
    """What a sign-in needs besides the passphrase."""

    codes: AppCodeService
    passkeys: PasskeyService

    def is_on(self, vault_id: UUID) -> bool:
        """Tell whether a sign-in needs a second factor."""
        return self.codes.is_on(vault_id) or self.passkeys.has_any(vault_id)

    def accepts(self, vault_id: UUID, proof: Proof) -> bool:
        """Tell whether a sign-in may go on: none is needed, or this proves one and is used up."""
        if isinstance(proof, Answer):
            return self.passkeys.confirms(vault_id, proof)
        return not self.is_on(vault_id) or self.codes.accepts(vault_id, proof)

    def forget(self, session: Session, vault: VaultRef, *, now: datetime) -> None:
        """Turn all of them off within a change that is told of itself."""
        self.codes.forget(session, vault, now=now, told=False)
        self.passkeys.forget(session, vault, now=now)
