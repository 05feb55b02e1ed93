"""What every measurement starts from: a store, people with one record each, and their consents.

Each person lives in a vault of their own and has agreed with one organisation, so that reads meet
as little in the store as reads of different people do.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from joserfc.jwk import ECKey, OKPKey
from sqlalchemy import update

from consent.models import Grant
from pds import settings as settings_module
from tests.support.oauth_client import new_key
from tests.support.postgresql import temporary_postgresql
from tests.support.stores import Store, Stores
from tests.support.world import Connected, Person, World
from tests.support.worlds import with_cheap_passphrases

STORES = ("sqlite", "postgresql")
ALGORITHMS = ("ES256", "Ed25519")
PEOPLE = 24
FETCHES_PER_DAY = 1_440  # the most that a template may ask for; `Rig.reset` starts the day anew
COLLECTION = "profile"
_TOKEN_SECONDS = 300  # half an access token's life
_ECDSA = ec.ECDSA(SHA256())


class ProofKey:
    """A client's proof key that signs as fast as it can be done."""

    def __init__(self, key: ECKey | OKPKey, algorithm: str) -> None:
        """Take the key of a test client."""
        self._key = key.private_key
        header = {"typ": "dpop+jwt", "alg": algorithm, "jwk": key.as_dict(private=False)}
        self._header = _b64u(json.dumps(header).encode())

    def proof(self, url: str, access_token: str, *, now: int) -> str:
        """Return a fresh proof for a GET."""
        ath = _b64u(hashlib.sha256(access_token.encode()).digest())
        claims = {"jti": secrets.token_urlsafe(16), "htm": "GET", "htu": url, "iat": now}
        text = f"{self._header}.{_b64u(json.dumps(claims | {'ath': ath}).encode())}"
        return f"{text}.{_b64u(self._sign(text.encode()))}"

    def _sign(self, message: bytes) -> bytes:
        if isinstance(self._key, ed25519.Ed25519PrivateKey):
            return self._key.sign(message)
        r, s = decode_dss_signature(self._key.sign(message, _ECDSA))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")


class Consent:
    """One person's consent, as its reader holds it."""

    def __init__(self, connected: Connected) -> None:
        """Look up the one record there is to read."""
        page = connected.get(f"/v1/records?collection={COLLECTION}").json()
        (record,) = page["records"]
        self.path = f"/v1/records/{COLLECTION}/{record['id']}"
        self._connected = connected
        self._token, self._made = connected.access_token, time.monotonic()

    def access_token(self) -> str:
        """Return a token that lives for a while yet."""
        if time.monotonic() - self._made > _TOKEN_SECONDS:
            answer = self._connected.organisation.client.refresh(self._connected.refresh_token)
            self._token, self._made = answer.json()["access_token"], time.monotonic()
        return self._token


@dataclass(frozen=True, slots=True)
class Rig:
    """A store with its consents, for one algorithm after the other."""

    kind: str
    instance: Path
    world: World
    consents: dict[str, list[Consent]]
    keys: dict[str, ProofKey]

    def requests(self, algorithm: str, count: int) -> Iterator[tuple[str, str, str]]:
        """Make `count` requests: path, token and proof, each proof fresh and used nowhere."""
        now, key = int(time.time()), self.keys[algorithm]
        reads = [(one.path, one.access_token()) for one in self.consents[algorithm]]
        for number in range(count):
            path, token = reads[number % len(reads)]
            yield path, token, key.proof(self.world.url(path), token, now=now)

    def reset(self) -> None:
        """Start the day's count of fetches anew."""
        self.world.services.uow.write(
            lambda session: session.execute(update(Grant).values(fetches_today=0))
        )


@contextmanager
def rig(
    kind: str, *, people: int = PEOPLE, algorithms: Sequence[str] = ALGORITHMS
) -> Iterator[Rig]:
    """Make a store with consents in a temporary folder; nothing of it is left afterwards.

    PostgreSQL syncs its commits, as SQLite does with the product's own settings.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pds-bench-")))
        cluster = cache(lambda: stack.enter_context(temporary_postgresql(durable=True)))
        stores = Stores(folder, cluster)
        made = stack.enter_context(stores.migrated(kind))
        instance = made.settings.instance
        _write_settings(instance, made.settings.database.url)
        store = with_cheap_passphrases(Store(kind, settings_module.load(instance), made.uow))
        world = World(store)
        stack.callback(world.close)
        persons = [_person(world, number) for number in range(people)]
        consents, keys = {}, {}
        for algorithm in algorithms:
            organisation = world.organisation()
            organisation.client.dpop_key = new_key(algorithm)
            keys[algorithm] = ProofKey(organisation.client.dpop_key, algorithm)
            template = organisation.publish(
                required=["profile.given_name"],
                optional=["profile.family_name"],
                access={"mode": "on_change", "fetches_per_day": FETCHES_PER_DAY},
            )
            consents[algorithm] = [
                Consent(world.connect(person, organisation, template)) for person in persons
            ]
        yield Rig(kind, instance, world, consents, keys)


def _person(world: World, number: int) -> Person:
    person = world.person(f"person{number}")
    person.save(COLLECTION, given_name="Aysel", family_name="Məmmədova", birth_date="1991-04-02")
    return person


def _write_settings(instance: Path, database_url: str) -> None:
    text = f'[server]\ninsecure_loopback = true\n[database]\nurl = "{database_url}"\n'
    (instance / settings_module.SETTINGS_FILE).write_text(text, encoding="utf-8")


def _b64u(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")
