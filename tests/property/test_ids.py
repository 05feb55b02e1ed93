"""Ids that find their shard and do not show it (P-1, TAK-60)."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from pds.ids import BUCKETS, IdFactory, new_bucket, random_uuid, time_ordered_uuid

unhurried = settings(deadline=None)
FACTORY = IdFactory(b"r" * 32)
buckets = st.integers(0, BUCKETS - 1)


@unhurried
@given(buckets)
def test_an_id_leads_back_to_its_bucket(bucket):
    routed = FACTORY.new(bucket)

    assert FACTORY.bucket_of(routed) == bucket
    assert (routed.version, routed.variant) == (8, "specified in RFC 4122")
    assert FACTORY.bucket_of(UUID(str(routed))) == bucket


@unhurried
@given(buckets, st.binary(min_size=32, max_size=32).filter(lambda key: key != b"r" * 32))
def test_the_bucket_is_readable_with_the_route_key_alone(bucket, key):
    """P-1: with another key the ids of one bucket lie anywhere."""
    other = IdFactory(key)
    found = {other.bucket_of(FACTORY.new(bucket)) for _ in range(40)}

    assert len(found) > 10


def test_the_routing_bits_of_one_bucket_look_random():
    """P-1: no organisation learns from its ids which of them share a shard."""
    seen = Counter(FACTORY.new(7).int >> 118 for _ in range(4_096))

    assert len(seen) > 900
    assert max(seen.values()) < 25


@unhurried
@given(st.uuids())
def test_any_other_id_leads_to_some_bucket(anything):
    assert 0 <= FACTORY.bucket_of(anything) < BUCKETS


def test_ids_do_not_repeat():
    assert len({FACTORY.new(0) for _ in range(5_000)}) == 5_000
    assert len({random_uuid() for _ in range(5_000)}) == 5_000


def test_buckets_of_new_vaults_are_spread():
    counts = Counter(new_bucket() for _ in range(20_000))

    assert set(counts) <= set(range(BUCKETS))
    assert len(counts) > 1_000


@unhurried
@given(st.integers(0, 10**10), st.integers(1, 10**9))
def test_time_ordered_ids_sort_by_their_millisecond(second, later):
    at = datetime.fromtimestamp(second, UTC)
    first, then = time_ordered_uuid(at), time_ordered_uuid(at + timedelta(milliseconds=later))

    assert first < then
    assert first.version == 7
    assert str(first) < str(then)
