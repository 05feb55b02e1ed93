"""What the caller of the command trusts: keys and checkpoints from their own files (P-34)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from consent.formats import fields
from consent.formats.canonical import parse
from consent.formats.cosignature import CosignatureVerifier
from consent.formats.errors import FormatError, MalformedError
from consent.formats.note import KEY_BYTES, Verifier
from consent.formats.trust import Trust
from consent.formats.witness_policy import Policy, Quorum


def read_trust(
    vkeys: Sequence[str],
    receipt_key: Path | None,
    checkpoint: Path | None,
    quorum: int,
    policy: Path | None = None,
) -> Trust:
    """Return what these arguments say.

    Args:
        vkeys: keys of the log or of witnesses, each a text or a file with one key on each line.
        receipt_key: a file with the keys of receipts, a JWK set (RFC 7517).
        checkpoint: a file with a checkpoint seen earlier.
        quorum: how many of the witnesses in `vkeys` must have signed.
        policy: a file with a C2SP tlog-policy, instead of witnesses in `vkeys` and a quorum.

    Raises:
        FormatError: something is no key or no policy, or witnesses are named in both ways.
        OSError: a file cannot be read.
    """
    log_keys: list[Verifier] = []
    witnesses: list[CosignatureVerifier] = []
    for text in _vkey_texts(vkeys):
        try:
            log_keys.append(Verifier.from_text(text))
        except FormatError:
            witnesses.append(CosignatureVerifier.from_text(text))
    receipt_keys = {}
    if receipt_key is not None:
        receipt_keys = _jwk_set(receipt_key.read_bytes())
    pinned = None
    if checkpoint is not None:
        pinned = read_text(checkpoint)
    if policy is None:
        enough = Quorum.of(quorum, witnesses)
    elif witnesses or quorum:
        raise MalformedError("witnesses are named by --policy, or by --vkey and --quorum, not both")
    else:
        read = Policy.from_bytes(policy.read_bytes())
        log_keys += [log.key for log in read.logs]
        witnesses, enough = [each.key for each in read.witnesses], read.quorum
    return Trust(tuple(log_keys), receipt_keys, tuple(witnesses), enough, pinned)


def _vkey_texts(values: Sequence[str]) -> list[str]:
    texts = []
    for value in values:
        # A file is meant where there is one, whatever its name looks like.
        lines = read_text(Path(value)).splitlines() if Path(value).is_file() else [value]
        texts.extend(lines)
    return texts


def _jwk_set(data: bytes) -> dict[str, bytes]:
    # RFC 7517 and RFC 8037; keys of other kinds are passed over, as section 5 has it.
    keys = {}
    document = fields.mapping(parse(data), "receipt keys")
    for key in fields.each(fields.mapping, document.get("keys"), "receipt keys"):
        if key.get("kty") == "OKP" and key.get("crv") == "Ed25519":
            kid = fields.text(key.get("kid"), "kid")
            keys[kid] = fields.base64url_bytes(key.get("x"), "x", length=KEY_BYTES)
    return keys


def read_text(path: Path) -> str:
    """Return what a file in UTF-8 says.

    Raises:
        OSError: it cannot be read, or is not UTF-8.
    """
    try:
        return path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as exc:
        raise OSError(f"{path}: not UTF-8") from exc
