"""The two ceremonies of WebAuthn: making a passkey, and proving that one is at hand (SEC-S06).

    challenge   32 random bytes, for one purpose and one browser, answered once within five minutes
    answer      what the page's script sends: the credential in JSON, as the standard writes it

A challenge is a row, found by a hash of itself, its purpose and the browser that asked: whichever
worker gets the answer deletes it, and an answer to another page, or a second one, finds none.
Checking signatures is py_webauthn's; which challenge, origin and party count is decided here.
"""

from __future__ import annotations

import base64
import hashlib
import os
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from cryptography.exceptions import UnsupportedAlgorithm
from sqlalchemy import delete, insert
from sqlalchemy.orm import Session
from webauthn import verify_authentication_response, verify_registration_response
from webauthn.helpers import (
    parse_authentication_credential_json,
    parse_client_data_json,
    parse_registration_credential_json,
)
from webauthn.helpers.cose import COSEAlgorithmIdentifier as Algorithm
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import AuthenticationCredential, RegistrationCredential

from pds.clock import Clock
from pds.crypto import prf
from pds.crypto.labels import lp
from pds.errors import WrongSecretError
from pds.models import PasskeyChallenge
from pds.store import Store

CHALLENGE_BYTES = 32
CHALLENGE_LASTS = timedelta(minutes=5)
CREDENTIAL_BYTES = 1023  # WebAuthn section 4: no credential id is longer
_MOST_CHARACTERS = 16_384
_ALGORITHMS = [
    Algorithm.EDDSA,
    Algorithm.ECDSA_SHA_256,
    Algorithm.RSASSA_PKCS1_v1_5_SHA_256,
]
# What reading an answer can raise that is none: the library leaves some of it to its decoders.
_MALFORMED = (
    WebAuthnException,
    UnsupportedAlgorithm,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    RecursionError,
)


class Purpose(StrEnum):
    """What a challenge is for; an answer to one kind is none to another."""

    REGISTER = "register"
    CONFIRM = "confirm"  # a second factor, beside the passphrase
    OPEN = "open"  # instead of it: the person is verified by the device, too


@dataclass(frozen=True, slots=True)
class Answer:
    """An authenticator's answer as the page sent it, and what that page is bound to."""

    text: str = field(repr=False)
    browser: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Credential:
    """A passkey's public part: its id, and its key in COSE (RFC 9052)."""

    id: bytes
    public_key: bytes


@dataclass(frozen=True, slots=True)
class Registration:
    """A passkey that was just made."""

    credential: Credential
    count: int
    person_verified: bool  # by the device: a PIN, a fingerprint


@dataclass(frozen=True, slots=True)
class RelyingParty:
    """For whom passkeys are made: a host name, and the origin of its pages."""

    id: str
    origin: str

    @classmethod
    def of(cls, issuer: str) -> RelyingParty | None:
        """Return the party of an issuer; None where browsers would make no passkey.

        They make them for names in secure contexts, never for an address such as 127.0.0.1.
        """
        parts = urlsplit(issuer)
        host = parts.hostname or ""
        if _is_address(host) or (parts.scheme != "https" and host != "localhost"):
            return None
        return cls(host, issuer)


@dataclass(frozen=True, slots=True)
class Ceremonies:
    """Gives out challenges, and checks answers to them."""

    store: Store
    clock: Clock
    party: RelyingParty | None

    def challenge(self, session: Session, purpose: Purpose, browser: bytes) -> bytes:
        """Return a fresh challenge, with its row written."""
        made = os.urandom(CHALLENGE_BYTES)
        ends = self.clock.now() + CHALLENGE_LASTS
        key = _key(made, purpose, browser)
        session.execute(insert(PasskeyChallenge).values(key=key, expires_at=ends))
        return made

    def registered(self, answer: Answer) -> Registration:
        """Return the passkey that was made.

        Raises:
            WrongSecretError: it answers no open challenge of this browser, or is for another party.
        """
        found = _registration(answer.text)
        party, challenge = self._spent(found, Purpose.REGISTER, answer.browser)
        try:
            verified = verify_registration_response(
                credential=found,
                expected_challenge=challenge,
                expected_rp_id=party.id,
                expected_origin=party.origin,
                supported_pub_key_algs=_ALGORITHMS,
            )
        except _MALFORMED as exc:
            raise WrongSecretError from exc
        if len(verified.credential_id) > CREDENTIAL_BYTES:
            raise WrongSecretError
        made = Credential(verified.credential_id, verified.credential_public_key)
        return Registration(made, verified.sign_count, verified.user_verified)

    def spent(self, answer: Answer, purpose: Purpose) -> Assertion:
        """Read an answer and use its challenge up; nothing of it is proved yet.

        Raises:
            WrongSecretError: it is none, or answers no open challenge of this browser.
        """
        found = _authentication(answer.text)
        party, challenge = self._spent(found, purpose, answer.browser)
        return Assertion(party, challenge, purpose, found)

    def _spent(
        self,
        credential: AuthenticationCredential | RegistrationCredential,
        purpose: Purpose,
        browser: bytes,
    ) -> tuple[RelyingParty, bytes]:
        try:
            told = parse_client_data_json(credential.response.client_data_json)
        except _MALFORMED as exc:
            raise WrongSecretError from exc
        # Nothing of ours is shown in a frame, so what comes from one is not ours.
        if self.party is None or told.cross_origin:
            raise WrongSecretError
        key, now = _key(told.challenge, purpose, browser), self.clock.now()
        waiting = (PasskeyChallenge.key == key, PasskeyChallenge.expires_at > now)

        def job(session: Session) -> bool:
            gone = delete(PasskeyChallenge).where(*waiting).returning(PasskeyChallenge.key)
            return session.execute(gone).one_or_none() is not None

        if not self.store.write(job):
            raise WrongSecretError
        return self.party, told.challenge


@dataclass(frozen=True, slots=True)
class Assertion:
    """An answer whose challenge was ours, open, and of this browser."""

    party: RelyingParty
    challenge: bytes = field(repr=False)
    purpose: Purpose
    answer: AuthenticationCredential = field(repr=False)

    @property
    def credential_id(self) -> bytes:
        """The passkey that it claims to come from."""
        return self.answer.raw_id

    @property
    def user_handle(self) -> bytes | None:
        """Whose passkey that is, as the authenticator keeps it; None: it does not say."""
        return self.answer.response.user_handle

    def count(self, credential: Credential) -> int:
        """Return the authenticator's counter, once the signature is found to be this passkey's.

        Raises:
            WrongSecretError: signature, origin or party is another, or nobody was verified where
                that is needed.
        """
        try:
            verified = verify_authentication_response(
                credential=self.answer,
                expected_challenge=self.challenge,
                expected_rp_id=self.party.id,
                expected_origin=self.party.origin,
                credential_public_key=credential.public_key,
                # Compared where it is written, so that two at once do not both pass.
                credential_current_sign_count=0,
                require_user_verification=self.purpose is Purpose.OPEN,
            )
        except _MALFORMED as exc:
            raise WrongSecretError from exc
        return verified.new_sign_count


def options_to_register(
    party: RelyingParty,
    challenge: bytes,
    *,
    user: bytes,
    name: str,
    known: list[bytes],
) -> dict[str, Any]:
    """Return what the page asks of `navigator.credentials.create`, as JSON (section 5.1.8)."""
    return {
        "rp": {"id": party.id, "name": party.id},
        "user": {"id": base64url(user), "name": name, "displayName": name},
        "challenge": base64url(challenge),
        "pubKeyCredParams": [{"type": "public-key", "alg": int(each)} for each in _ALGORITHMS],
        "timeout": _milliseconds(),
        "excludeCredentials": [{"type": "public-key", "id": base64url(each)} for each in known],
        # Discoverable, so that no page has to tell strangers which passkeys a name has.
        "authenticatorSelection": {
            "residentKey": "required",
            "requireResidentKey": True,
            "userVerification": "preferred",
        },
        "attestation": "none",
        "extensions": _PRF,
    }


def options_to_prove(party: RelyingParty, challenge: bytes, purpose: Purpose) -> dict[str, Any]:
    """Return what the page asks of `navigator.credentials.get`, as JSON (section 5.1.8)."""
    opens = purpose is Purpose.OPEN
    return {
        "rpId": party.id,
        "challenge": base64url(challenge),
        "timeout": _milliseconds(),
        "userVerification": "required" if opens else "preferred",
        **({"extensions": _PRF} if opens else {}),
    }


def base64url(plain: bytes) -> str:
    """Return base64url without padding (RFC 4648 section 5), as WebAuthn's JSON has bytes."""
    return base64.urlsafe_b64encode(plain).decode().rstrip("=")


_PRF = {"prf": {"eval": {"first": base64url(prf.INPUT)}}}


def _registration(text: str) -> RegistrationCredential:
    try:
        return parse_registration_credential_json(_bounded(text))
    except _MALFORMED as exc:
        raise WrongSecretError from exc


def _authentication(text: str) -> AuthenticationCredential:
    try:
        return parse_authentication_credential_json(_bounded(text))
    except _MALFORMED as exc:
        raise WrongSecretError from exc


def _bounded(text: str) -> str:
    if len(text) > _MOST_CHARACTERS:
        raise WrongSecretError
    return text


def _key(challenge: bytes, purpose: Purpose, browser: bytes) -> bytes:
    return hashlib.sha256(lp((challenge, purpose.encode(), browser))).digest()


def _milliseconds() -> int:
    return int(CHALLENGE_LASTS.total_seconds() * 1000)


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
