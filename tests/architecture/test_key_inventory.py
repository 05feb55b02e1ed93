"""The inventory of derivation labels is frozen: adding one changes the key hierarchy (TAK-14)."""

from __future__ import annotations

import ast

from pds.crypto import labels
from tests.support.source import modules

INVENTORY = {
    "SEAL": b"pds/1/seal",
    "PASSPHRASE_AUTH": b"pds/1/pw/auth",
    "PASSPHRASE_KEK": b"pds/1/pw/kek",
    "RECOVERY_AUTH": b"pds/1/rc/auth",
    "RECOVERY_KEK": b"pds/1/rc/kek",
    "PASSKEY_KEK": b"pds/1/prf/kek",
    "TOKEN_LOOKUP": b"pds/1/tok/lookup",
    "TOKEN_KEK": b"pds/1/tok/kek",
    "SESSION_LOOKUP": b"pds/1/ses/id",
    "SESSION_KEK": b"pds/1/ses/kek",
    "COLLECTION_RECORDS": b"pds/1/ck/rec",
    "COLLECTION_HPKE": b"pds/1/ck/hpke",
    "COLLECTION_INDEX": b"pds/1/ck/index",
    "GRANT_RECORD_IDS": b"pds/1/gk/rid",
    "GRANT_DEPOSITS": b"pds/1/gk/deposit",
    "GRANT_AUDIT": b"pds/1/gk/audit",
    "GRANT_ETAG": b"pds/1/gk/etag",
    "GRANT_TERMS": b"pds/1/gk/terms",
    "DEPOSIT": b"pds/1/deposit",
    "INSTANCE_ID": b"pds/1/instance/id",
    "INSTANCE_CURSOR": b"pds/1/instance/cursor",
    "INSTANCE_CSRF": b"pds/1/instance/csrf",
    "INSTANCE_ROUTE": b"pds/1/instance/route",
    "INSTANCE_PAIRWISE": b"pds/1/instance/pairwise",
    "INSTANCE_PSEUDONYM": b"pds/1/instance/pseudonym",
    "INSTANCE_AT_REST": b"pds/1/instance/at-rest",
    "INSTANCE_LOGIN_TAG": b"pds/1/instance/login-tag",
    "INSTANCE_SOURCE": b"pds/1/instance/source",
    "VAULT_STAGING": b"pds/1/vault/staging",
    "VAULT_FILES": b"pds/1/vault/files",
    "FILE_STREAM": b"pds/1/file/stream",
    "VAULT_LISTS": b"pds/1/vault/lists",
    "VAULT_INVITATIONS": b"pds/1/vault/invitation",
    "NOTICE_CODE": b"pds/1/notice/code",
    "DEVICE_MARK": b"pds/1/device/mark",
    "WEBHOOK_SIGNING": b"pds/1/webhook/ed25519",
    "ENGAGEMENT_PSEUDONYM": b"pds/1/engagement/pseudonym",
}
# HPKE's `info` for the private part of an event: RFC 9180 derives with it, not `labels.derive`.
ELSEWHERE = {("consent/log/entries.py", b"pds/1/audit")}


# `ath` itself (RFC 9449 section 4.2): by the server that checks, by the client that proves.
ATH = {"api/oauth/ext/dpop_rfc9449.py", "api/demo/oauth_client.py"}


def test_the_inventory_is_what_it_was():
    found = {name: value for name, value in vars(labels).items() if isinstance(value, bytes)}

    assert found == INVENTORY


def test_no_two_purposes_share_a_label():
    values = [*INVENTORY.values(), *(value for _, value in ELSEWHERE)]

    assert len(values) == len(set(values))


def test_labels_are_written_nowhere_else():
    found = {
        (path, node.value)
        for path, tree in modules()
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, bytes)
        and node.value.startswith(b"pds/1/")
        and path != "pds/crypto/labels.py"
    }

    assert found == ELSEWHERE


def test_tokens_are_never_hashed_bare():
    """TAK-29: a proof carries SHA-256 of its token (`ath`): that may key and index nothing."""
    found = {
        f"{path}:{node.lineno}"
        for path, tree in modules("pds", "consent", "api")
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and ast.unparse(node.func).endswith("sha256")
        and any("token" in ast.unparse(argument) for argument in node.args)
        and path not in ATH
    }

    assert found == set()
