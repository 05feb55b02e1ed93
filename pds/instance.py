"""The instance folder's secrets (P-19): files of mode 0600 outside the database.

instance.key   32 bytes, hex: cursor, csrf, route, pairwise, pseudonym, at-rest by HKDF label
pepper.v1      32 bytes, hex: enters every passphrase key; back it up apart from the database
log.key        Ed25519 seed, hex: signs checkpoints
receipt.key    Ed25519 seed, hex: signs receipts
webhook.key    32 bytes, hex: each endpoint's Ed25519 signing key by HKDF
"""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

from pds.crypto import labels
from pds.crypto.labels import derive
from pds.crypto.sealed_box import Kind, open_box, seal
from pds.errors import ConfigurationError

KEY_FILES = ("instance.key", "pepper.v1", "log.key", "receipt.key", "webhook.key")
# A later version than the first asked for these; `complete` makes them. Of the others each opens
# or proves what exists already, and one made anew would hide that the right one is missing.
_ADDED_LATER = ("webhook.key",)
KEY_BYTES = 32
_FOLDER_MODE = 0o700
_FILE_MODE = 0o600


@dataclass(frozen=True, slots=True)
class InstanceKeys:
    """Keys that the server holds; none of them opens a record."""

    deployment: bytes = field(repr=False)  # 16 bytes; binds every box to this instance
    cursor: bytes = field(repr=False)
    csrf: bytes = field(repr=False)
    route: bytes = field(repr=False)
    pairwise: bytes = field(repr=False)
    pseudonym: bytes = field(repr=False)
    at_rest: bytes = field(repr=False)
    login_tag: bytes = field(repr=False)
    source: bytes = field(repr=False)
    peppers: dict[int, bytes] = field(repr=False)
    log_seed: bytes = field(repr=False)
    receipt_seed: bytes = field(repr=False)
    webhook_seed: bytes = field(repr=False)

    @property
    def pepper_version(self) -> int:
        """The version with which new passphrase keys are made."""
        return max(self.peppers)

    def seal_at_rest(self, plain: bytes, what: bytes, *ids: UUID) -> bytes:
        """Seal what the server needs while its owner is away (P-19), bound to its place.

        Args:
            plain: what to seal.
            what: what it is, in a word; boxes of one kind do not open as another.
            ids: the vault's, then those of the row within it.
        """
        context = [what, self.deployment, *(each.bytes for each in ids)]
        return seal(self.at_rest, plain, kind=Kind.AT_REST, key_version=1, fields=context)

    def open_at_rest(self, box: bytes, what: bytes, *ids: UUID) -> bytes:
        """Open what `seal_at_rest` sealed.

        Raises:
            DecryptionError: it is another's, was moved, or was altered.
        """
        context = [what, self.deployment, *(each.bytes for each in ids)]
        return open_box(self.at_rest, box, kind=Kind.AT_REST, fields=context)


def create(folder: Path) -> None:
    """Make an instance folder with fresh keys; existing keys are never replaced.

    Raises:
        ConfigurationError: the folder holds keys already, or it cannot be written.
    """
    try:
        folder.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
        folder.chmod(_FOLDER_MODE)
        for name in KEY_FILES:
            _make(folder / name)
    except FileExistsError as exc:
        raise ConfigurationError(
            f"{folder} has keys already. Without them its vaults can never be opened again, so"
            " they are not replaced; choose another folder."
        ) from exc
    except OSError as exc:
        raise ConfigurationError(f"{folder} cannot be written: {exc.strerror}") from exc


def complete(folder: Path) -> None:
    """Make the key files that this version needs and an older one did not have.

    Raises:
        ConfigurationError: the folder cannot be written.
    """
    for name in _ADDED_LATER:
        try:
            _make(folder / name)
        except FileExistsError:
            continue
        except OSError as exc:
            raise ConfigurationError(f"{folder} cannot be written: {exc.strerror}") from exc


def load(folder: Path) -> InstanceKeys:
    """Read the keys of an instance folder.

    Raises:
        ConfigurationError: a key file is missing, unreadable, malformed or open to others.
    """
    root = _read(folder / "instance.key")
    peppers = {
        int(path.suffix.removeprefix(".v")): _read(path)
        for path in sorted(folder.glob("pepper.v[0-9]*"))
    }
    if not peppers:
        raise ConfigurationError(
            f"{folder / 'pepper.v1'} is missing: without it no passphrase opens a vault. Restore"
            " it from your key backup."
        )
    return InstanceKeys(
        deployment=derive(root, labels.INSTANCE_ID, length=16),
        cursor=derive(root, labels.INSTANCE_CURSOR),
        csrf=derive(root, labels.INSTANCE_CSRF),
        route=derive(root, labels.INSTANCE_ROUTE),
        pairwise=derive(root, labels.INSTANCE_PAIRWISE),
        pseudonym=derive(root, labels.INSTANCE_PSEUDONYM),
        at_rest=derive(root, labels.INSTANCE_AT_REST),
        login_tag=derive(root, labels.INSTANCE_LOGIN_TAG),
        source=derive(root, labels.INSTANCE_SOURCE),
        peppers=peppers,
        log_seed=_read(folder / "log.key"),
        receipt_seed=_read(folder / "receipt.key"),
        webhook_seed=_read(folder / "webhook.key"),
    )


def _make(path: Path) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _FILE_MODE)
    with os.fdopen(descriptor, "w") as file:
        file.write(secrets.token_hex(KEY_BYTES) + "\n")


def _read(path: Path) -> bytes:
    try:
        if path.stat().st_mode & 0o077:
            raise ConfigurationError(f"{path} is open to other users; run: chmod 600 {path}")
        key = bytes.fromhex(path.read_text("ascii").strip())
    except FileNotFoundError as exc:
        raise ConfigurationError(
            f"{path} is missing. Restore it from your key backup, or run `pds init` for a new and"
            " empty instance."
        ) from exc
    except OSError as exc:
        raise ConfigurationError(f"{path} cannot be read: {exc.strerror}") from exc
    except ValueError as exc:
        raise ConfigurationError(f"{path} is damaged: {KEY_BYTES} bytes in hex expected") from exc
    if len(key) != KEY_BYTES:
        raise ConfigurationError(f"{path} is damaged: {KEY_BYTES} bytes in hex expected")
    return key
