"""Someone who holds copies: of the tables, of the instance's files, of a secret or two.

They have read the code: every context is built right, so that only a key they lack stops them.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field

from sqlalchemy import select

from api.oauth import models as oauth_models
from consent import models as consent_models
from consent.grants import TokenBinding
from pds.crypto.secrets import parse
from pds.db import Base
from pds.errors import DecryptionError
from pds.keys import VaultKeys, Wrapped, Wrapper
from pds.record_boxes import Author, RecordContext, open_record, record_key

# Named here so that their tables are known, whatever a test has imported.
_MODELS = (oauth_models, consent_models)


def copy_tables(uow):
    """Return every row of every table, as a stolen database has them."""
    with uow.read() as session:
        return {
            table.name: [dict(row) for row in session.execute(select(table)).mappings()]
            for table in Base.metadata.sorted_tables
        }


@dataclass
class Attacker:
    """Opens what can be opened from a copy of the tables; `deployment` is in the config."""

    tables: dict = field(repr=False)
    deployment: bytes = field(repr=False)

    def with_token(self, text):
        """Return the data of the records that a code, refresh or access token opens."""
        secret = parse(text, "ac", "rt", "at")
        row = self._row("tokens", selector=secret.selector)
        if row is None or row["grant_id"] is None:
            return []
        grant = self._row("grants", id=row["grant_id"])
        vault = VaultKeys(self.deployment, grant["bucket"], grant["vault_id"])
        confirmation = row["jkt"] or ""
        binding = TokenBinding(
            row["kind"],
            secret.selector,
            grant["id"],
            row["client_id"],
            confirmation,
            row["expires_at"],
        )
        by, wrapped = binding.wrapper(), Wrapped("grant", str(grant["id"]))
        opened = []
        for wrap in self._wraps("token", secret.selector):
            with suppress(DecryptionError):
                key = vault.unwrap(secret.kek(), wrap["blob"], by=by, wrapped=wrapped)
                opened += self._below(vault, Wrapper("grant", grant["id"]), key)
        return opened

    def with_root_secret(self, vault_id, kind, by_id, kek, binding=()):
        """Return the data of the records that a passphrase, recovery code or cookie opens."""
        bucket = self._row("vaults", id=vault_id)["bucket"]
        vault = VaultKeys(self.deployment, bucket, vault_id)
        by, wrapped = Wrapper(kind, by_id, binding), Wrapped("vrk", str(vault_id))
        opened = []
        for wrap in self._wraps(kind, by_id):
            with suppress(DecryptionError):
                vrk = vault.unwrap(kek, wrap["blob"], by=by, wrapped=wrapped)
                opened += self._below(vault, Wrapper("vrk", vault_id), vrk)
        return opened

    def records_under(self, vault_id, held):
        """Return the data of the records that collection keys by (name, version) open."""
        opened = []
        for row in self.tables["records"]:
            key = held.get((row["collection"], row["key_version"]))
            if row["vault_id"] != vault_id or key is None:
                continue
            with suppress(DecryptionError):
                opened.append(open_record(record_key(key), row["box"], self.context(row))[0])
        return opened

    def context(self, row):
        """Return what a record's box is bound to."""
        return RecordContext(
            self.deployment,
            row["vault_id"],
            row["collection"],
            row["id"],
            row["version"],
            Author(row["author_kind"], row["author_id"]),
            row["deleted"],
        )

    def _below(self, vault, by, key):
        held = {}
        for wrap in self._wraps(by.kind, by.id):
            wrapped = Wrapped(wrap["wrapped_kind"], wrap["wrapped_id"], wrap["wrapped_version"])
            with suppress(DecryptionError):
                opened = vault.unwrap(key, wrap["blob"], by=by, wrapped=wrapped)
                if wrapped.kind == "collection":
                    held[wrapped.id, wrapped.version] = opened
        return self.records_under(vault.vault_id, held)

    def _wraps(self, by_kind, by_id):
        return [
            row
            for row in self.tables["key_wraps"]
            if (row["by_kind"], row["by_id"]) == (by_kind, by_id)
        ]

    def _row(self, table, **wanted):
        for row in self.tables[table]:
            if all(row[name] == value for name, value in wanted.items()):
                return row
        return None
