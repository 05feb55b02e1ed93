"""What one decision costs with the terms loaded, in microseconds: `python -m bench.decide`.

The terms are the widest that fair use allows, and are read from their sealed text as a live read
does, so that what is worked out at loading is not counted again at each decision.
"""

from __future__ import annotations

import timeit
from datetime import UTC, datetime, timedelta

from consent.grants import GrantKeys, read_terms
from consent.limits import LIMITS
from consent.policy import Facts, Terms, decide
from consent.vocabulary import Action, AgreementState, GrantState, Purpose, Standing
from pds.catalogue import CATALOGUE
from pds.ids import random_uuid
from pds.keys import VaultKeys, new_key

LOOPS, ROUNDS = 100_000, 7
START = datetime(2026, 3, 1, tzinfo=UTC)
NAMES = tuple(
    attribute.qualified_name
    for collection in CATALOGUE.collections.values()
    if collection.sensitivity == "ordinary"
    for attribute in collection.attributes.values()
)


def terms(count):
    """Return terms of so many attributes, sealed and opened again."""
    made = Terms(
        agreement_id="a",
        agreement_version=1,
        agreement_sha256="0" * 64,
        purpose=Purpose.SERVICE_PROVISION.value,
        actions=frozenset({Action.READ}),
        attributes=frozenset(NAMES[:count]),
        denied=frozenset(),
        starts_at=START,
        expires_at=START + timedelta(days=365),
        fetches_per_day=1440,
        retention="P30D",
    )
    keys = GrantKeys(VaultKeys(b"bench", 1, random_uuid()), random_uuid(), new_key())
    return read_terms(keys.open_terms(keys.seal_terms(made)[0]))


def microseconds(count, collections):
    """Return the best round's microseconds for each decision."""
    found = terms(count)
    facts = Facts(
        agreement_state=AgreementState.ACTIVE,
        grant_state=GrantState.ACTIVE,
        standing=Standing.GOOD,
        vault_is_active=True,
        expires_at=found.expires_at,
        fetches_today=0,
    )
    wanted = collections or found.collections
    now = START + timedelta(days=1)
    if decide(found, facts, action=Action.READ, collections=wanted, now=now) is not None:
        raise RuntimeError("what is measured would be a refusal")
    rounds = timeit.repeat(
        lambda: decide(found, facts, action=Action.READ, collections=wanted, now=now),
        number=LOOPS,
        repeat=ROUNDS,
    )
    return min(rounds) / LOOPS * 1e6


def main():
    """Print the figures."""
    most = min(LIMITS[Purpose.SERVICE_PROVISION].most.attributes, len(NAMES))
    print(f"one collection of one attribute: {microseconds(1, ()):.2f} us")
    print(f"all collections of {most} attributes: {microseconds(most, ()):.2f} us")


if __name__ == "__main__":
    main()
