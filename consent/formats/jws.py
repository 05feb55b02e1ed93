"""Detached Ed25519 JWS over canonical JSON: how our receipts are signed.

    document  {..., "proof": {"jws": "<b64u header>..<b64u signature>"}}
    header    {"alg":"EdDSA","kid":"<key id>","typ":"<kind of document>"}, canonical
    signed    b64u header || "." || b64u(RFC 8785 form of the document without `proof`)

RFC 7515 with the payload left out (appendix F) and RFC 8037. `typ` keeps one kind of document from
being passed off as another; the header has these three members and no others, so nothing in it can
choose an algorithm or a key.
"""

from __future__ import annotations

from collections.abc import Mapping

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from consent.formats import fields
from consent.formats.canonical import JSONValue, canonical_bytes, parse
from consent.formats.encoding import b64u, b64u_decode
from consent.formats.errors import MalformedError, VerificationError
from consent.formats.note import verify_ed25519

ALGORITHM = "EdDSA"
PROOF = "proof"
SIGNATURE_BYTES = 64

_PARTS = 3


def sign(
    document: Mapping[str, JSONValue], key: Ed25519PrivateKey, *, kid: str, typ: str
) -> dict[str, JSONValue]:
    """Return a copy of the document with its proof.

    Raises:
        MalformedError: the document is not canonical JSON, or is signed already.
    """
    if PROOF in document:
        raise MalformedError("the document is signed already")
    header = b64u(canonical_bytes({"alg": ALGORITHM, "kid": kid, "typ": typ}))
    signature = key.sign(_signed(header, document))
    return {**document, PROOF: {"jws": f"{header}..{b64u(signature)}"}}


def verify(document: object, keys: Mapping[str, bytes], *, typ: str) -> dict[str, JSONValue]:
    """Verify a document's proof and return the document without it.

    Args:
        document: what `sign` returned.
        keys: 32-byte Ed25519 public keys by key id, from a source that the caller trusts.
        typ: the kind of document that is expected.

    Raises:
        MalformedError: the document is not signed in this form, or is of another kind.
        VerificationError: the key is unknown, or the signature is wrong.
    """
    header, kid, signature = _open_proof(document, typ)
    if kid not in keys:
        raise VerificationError(f"signed by {kid!r}, which is no known key")
    found = fields.mapping(document, "document")
    payload = {name: value for name, value in found.items() if name != PROOF}
    verify_ed25519(keys[kid], signature, _signed(header, payload))
    return payload


def _open_proof(document: object, typ: str) -> tuple[str, str, bytes]:
    found = fields.mapping(document, "document")
    proof = fields.members(found.get(PROOF), PROOF, required=("jws",))
    parts = fields.text(proof["jws"], "proof.jws").split(".")
    if len(parts) != _PARTS or parts[1]:
        raise MalformedError("proof.jws: not a detached JWS")
    value = parse(b64u_decode(parts[0]), canonical=True)
    header = fields.members(value, "proof.jws", required=("alg", "kid", "typ"))
    if header["alg"] != ALGORITHM or header["typ"] != typ:
        raise MalformedError("proof.jws: another algorithm or kind of document")
    signature = b64u_decode(parts[2], length=SIGNATURE_BYTES)
    return parts[0], fields.text(header["kid"], "proof.jws.kid"), signature


def _signed(header: str, document: Mapping[str, JSONValue]) -> bytes:
    return f"{header}.{b64u(canonical_bytes(dict(document)))}".encode("ascii")
