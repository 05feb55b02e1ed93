"""Entries of which the leaf alone is left: pds-bundle/2 (LOG-9, docs/spec/bundle.md)."""

from __future__ import annotations

import pytest

from consent.formats import merkle
from consent.formats.bundle import Bundle, ErasedEntry, assemble
from consent.formats.canonical import canonical_bytes, parse
from consent.formats.verify import verify_bundle
from tests.support.evidence import VAULT_STREAM, story

LOG = story()
GONE = 3  # vault.unlocked, the second of the vault's stream


def erased(of=GONE, **members):
    read, size = merkle.leaves_reader(LOG.leaves()), len(LOG.entries)
    pub = LOG.events[of][0].pub
    made = {
        "index": of,
        "leaf_hash": LOG.leaves()[of],
        "leaf_proof": tuple(merkle.inclusion_proof(read, of, size)),
        "stream": pub.stream,
        "seq": pub.seq,
        "rule": "access.public",
    }
    return ErasedEntry(**(made | members))


def bundle(*gone):
    whole = LOG.bundle([index for index in range(len(LOG.entries)) if index != GONE])
    return assemble(
        origin=whole.origin,
        checkpoint=whole.checkpoint,
        entries=whole.entries,
        receipts=whole.receipts,
        agreements=LOG.agreements,
        hints=LOG.hints(),
        erased=gone,
    )


DATA = bundle(erased()).to_bytes()


def test_its_number_is_explained_and_noticed():
    report = verify_bundle(DATA, LOG.trust())

    assert report.verdict == "VERIFIED"
    (notice,) = [each for each in report.notices if each.rule == "entry-erased"]
    assert notice.where == f"{VAULT_STREAM}/2"
    assert notice.detail == "1 erased by the rule access.public"
    assert Bundle.from_bytes(DATA).to_bytes() == DATA
    assert parse(DATA)["format"] == "pds-bundle/2"


def test_a_bundle_without_any_is_of_the_first_format():
    """Who reads only that goes on reading it."""
    assert parse(LOG.bundle().to_bytes())["format"] == "pds-bundle/1"
    for changes in ({"format": "pds-bundle/2"}, {"erased": []}):
        document = parse(LOG.bundle().to_bytes()) | changes
        report = verify_bundle(canonical_bytes(document), LOG.trust())
        assert report.failures[0].rule == "malformed"
    document = parse(DATA) | {"format": "pds-bundle/1"}
    assert verify_bundle(canonical_bytes(document), LOG.trust()).failures[0].rule == "malformed"


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"leaf_hash": b"x" * 32}, "inclusion"),
        ({"index": 4}, "inclusion"),
        ({"seq": 5}, "stream-gap"),
        ({"seq": 1}, "stream-repeat"),
        ({"stream": "v." + "9" * 32}, "stream-gap"),
    ],
)
def test_it_hides_nothing_else(changes, rule):
    """A leaf that is not there, another's place, another's number."""
    data = bundle(erased(**changes)).to_bytes()
    # Ranges as the honest bundle declares them: whoever lies about them is found by their gaps.
    document = parse(data) | {"streams": parse(DATA)["streams"]}

    failures = verify_bundle(canonical_bytes(document), LOG.trust()).failures

    assert rule in {each.rule for each in failures}


def test_one_that_is_taken_out_again_leaves_the_gap():
    document = parse(DATA)
    del document["erased"]
    del document["manifest"]["erased"]
    document["format"] = "pds-bundle/1"

    failures = verify_bundle(canonical_bytes(document), LOG.trust()).failures

    assert {(each.where, each.rule) for each in failures} == {(f"{VAULT_STREAM}/2", "stream-gap")}


def test_a_place_holds_one_entry_and_the_manifest_counts():
    twice = bundle(erased(), erased(4, stream="v." + "9" * 32, seq=1)).to_bytes()
    assert "entry-order" in {each.rule for each in verify_bundle(twice, LOG.trust()).failures}

    document = parse(DATA)
    document["manifest"]["erased"] = 2
    failures = verify_bundle(canonical_bytes(document), LOG.trust()).failures
    assert [(each.where, each.rule) for each in failures] == [("erased", "manifest")]
