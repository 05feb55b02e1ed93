"""What every measurement starts from: a store, people with one record each, and their consents.

Each person lives in a vault of their own and has agreed with one organisation, so that reads meet
as little in the store as reads of different people do.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from sqlalchemy import update

from bench.signing import ProofKey
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


class Consent:
    """One person's consent, as its reader holds it."""

    def __init__(self, connected: Connected) -> None:
        """Look up the one record there is to read."""
        page = connected.get(f"/v1/records?collection={COLLECTION}").json()
        (record,) = page["records"]
        self.path = f"/v1/records/{COLLECTION}/{record['id']}"
        self.connected = connected
        self._token, self._made = connected.access_token, time.monotonic()

    def access_token(self) -> str:
        """Return a token that lives for a while yet."""
        if time.monotonic() - self._made > _TOKEN_SECONDS:
            answer = self.connected.organisation.client.refresh(self.connected.refresh_token)
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
            proof = key.proof("GET", self.world.url(path), now=now, access_token=token)
            yield path, token, proof

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
