"""Record ids as one grant sees them: one AES-256 block under a key of its own (P-2).

Where an agreement covers some records of a collection only, its text names them by these ids too:
its organisation can reconcile what it gets, and nobody can join two agreements of one person.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from consent.vocabulary import Instances
from pds.crypto.labels import GRANT_RECORD_IDS, derive


class RecordNames:
    """A permutation of record ids that nobody without the grant key can compute or compare."""

    def __init__(self, grant_key: bytes) -> None:
        """Derive the grant's key for ids."""
        key = derive(grant_key, GRANT_RECORD_IDS)
        # One block, a permutation: ECB is what "one block" means, not a mode for data.
        self._cipher = Cipher(algorithms.AES256(key), modes.ECB())  # noqa: S305 - as said

    def public(self, record_id: UUID) -> UUID:
        """Return the id that the organisation sees."""
        encryptor = self._cipher.encryptor()
        return UUID(bytes=encryptor.update(record_id.bytes) + encryptor.finalize())

    def inverse(self, public_id: UUID) -> UUID:
        """Return the vault's own id."""
        decryptor = self._cipher.decryptor()
        return UUID(bytes=decryptor.update(public_id.bytes) + decryptor.finalize())

    def instances(
        self, primary: Iterable[str], chosen: Mapping[str, Iterable[UUID]]
    ) -> dict[str, Any]:
        """Return which records are shared of collections of which some are, as agreements say."""
        found: dict[str, Any] = {name: {"which": Instances.PRIMARY.value} for name in primary}
        for name, records in chosen.items():
            public = sorted(str(self.public(each)) for each in records)
            found[name] = {"which": Instances.CHOSEN.value, "records": public}
        return found
