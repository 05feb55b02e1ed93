"""The way in by a passkey alone: it says whose vault it is, and opens it (TAK-18, SEC-S06).

The device verified the person and holds the passkey, so this counts as both factors. The page sends
the PRF output with the answer, over TLS: the server derives the key from it as it does from a
passphrase, and keeps neither.
"""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from pds.accounts import Entrance
from pds.attempts import Attempts
from pds.crypto.prf import PrfOutput
from pds.errors import (
    DecryptionError,
    KeyUnavailableError,
    UnknownLoginError,
    WrongSecretError,
)
from pds.events import VaultRef
from pds.ids import IdFactory, VaultId
from pds.instance import InstanceKeys
from pds.keys import VaultKeys
from pds.passkeys import PasskeyService
from pds.store import Store
from pds.vaults import vault_ref
from pds.webauthn import Answer, Purpose

_WAY = "passkey"
_HANDLE_BYTES = 16


class PasskeyOpensNothingError(WrongSecretError):
    """The passkey is its owner's, but does not open the vault; the passphrase does."""


@dataclass(frozen=True, slots=True)
class PasskeyEntrance:
    """Lets owners in by their passkeys."""

    store: Store
    keys: InstanceKeys
    ids: IdFactory
    passkeys: PasskeyService
    attempts: Attempts

    def enter(
        self,
        answer: Answer,
        output: PrfOutput | None,
        *,
        source: str | None = None,
        vault_id: UUID | None = None,
    ) -> Entrance:
        """Open the vault that a passkey belongs to.

        Args:
            answer: of the passkey, to a challenge to open.
            output: of its PRF; None if the device gave none.
            source: where the request comes from, for the limit.
            vault_id: of who is signed in already; None for whoever the passkey says.

        Raises:
            PasskeyOpensNothingError: the passkey is right, but this output opens nothing.
            WrongSecretError: no passkey of that person, or the device verified nobody.
            LimitExceededError: too many attempts; says when to come back.
        """
        assertion = self.passkeys.ceremonies.spent(answer, Purpose.OPEN)
        handle = assertion.user_handle or b""
        if len(handle) != _HANDLE_BYTES or (vault_id is not None and handle != vault_id.bytes):
            raise UnknownLoginError
        named = VaultId(UUID(bytes=handle))
        self.attempts.count(_WAY, handle, source)
        try:
            passkey_id, credential = self.passkeys.prove(named, assertion)
        except WrongSecretError:
            if self.passkeys.has_any(named):
                self.attempts.log_failure(self.ids.bucket_of(named), named)
            raise
        self.attempts.forget(_WAY, handle, source)
        if output is None:
            raise PasskeyOpensNothingError
        ref = self._ref(named)
        try:
            vrk = self.passkeys.root_key(ref, passkey_id, credential, output)
        except (KeyUnavailableError, DecryptionError) as exc:
            raise PasskeyOpensNothingError from exc
        keys = VaultKeys(self.keys.deployment, ref.bucket, ref.id)
        return Entrance(keys, ref.audit_public_key, vrk)

    def _ref(self, vault_id: VaultId) -> VaultRef:
        with self.store.read() as session:
            return vault_ref(session, self.ids.bucket_of(vault_id), vault_id)
