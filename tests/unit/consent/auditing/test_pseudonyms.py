"""Names for people that one engagement has, and no other (P-32, AUD-1)."""

from __future__ import annotations

from consent.auditing.pseudonyms import Pseudonyms
from pds.ids import BUCKETS, random_uuid

ROOT = bytes(range(32))


def test_a_pseudonym_finds_its_vault_and_no_other_engagements_does():
    vaults = [random_uuid() for _ in range(20)]
    names, others = (Pseudonyms.of_engagement(ROOT, random_uuid()) for _ in range(2))
    name = names.of(BUCKETS - 1, vaults[7])

    assert (names.bucket_of(name), names.find(name, vaults)) == (BUCKETS - 1, vaults[7])
    assert others.find(name, vaults) is None
    assert others.of(BUCKETS - 1, vaults[7]) != name
    assert vaults[7].hex[:8] not in name


def test_what_is_no_pseudonym_leads_nowhere():
    names = Pseudonyms.of_engagement(ROOT, random_uuid())

    assert [names.bucket_of(text) for text in ("", "p.", "p." + "g" * 28)] == [None] * 3
    assert names.find("p.x", [random_uuid()]) is None


def test_pseudonyms_do_not_tell_who_shares_a_bucket():
    names = Pseudonyms.of_engagement(ROOT, random_uuid())
    heads = {names.of(7, random_uuid())[:6] for _ in range(50)}

    assert len(heads) > 25


def test_another_engagements_pseudonym_leads_to_no_bucket_that_there_is_not():
    names, others = (Pseudonyms.of_engagement(ROOT, random_uuid()) for _ in range(2))
    buckets = {others.bucket_of(names.of(7, random_uuid())) for _ in range(200)}

    assert all(bucket is None or bucket < BUCKETS for bucket in buckets)
