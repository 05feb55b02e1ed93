"""Evidence bundles: what verifies, and that nothing can be tampered with unseen (LOG-29, P-34)."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from consent.formats.bundle import Bundle, Hints
from consent.formats.canonical import canonical_bytes, parse, sha256_hex
from consent.formats.cosignature import Cosigner
from consent.formats.errors import MalformedError, VerificationError
from consent.formats.note import Signer
from consent.formats.proof import Proof
from consent.formats.receipt_facts import ReceiptKind
from consent.formats.report import Outcome, Verdict
from consent.formats.trust import Trust
from consent.formats.verify import verify_bundle, verify_log_extension, verify_receipt
from consent.formats.witness_policy import Quorum
from tests.support.evidence import AGREEMENT, GRANT_STREAM, MemoryLog, story
from tests.support.receipt_samples import ORIGIN
from tests.support.vectors import load

LOG = story()
GOOD = LOG.bundle(private=True)
TRUST = LOG.trust()


def verify(bundle, trust=TRUST):
    return verify_bundle(bundle.to_bytes() if isinstance(bundle, Bundle) else bundle, trust)


def rules(report):
    return {failure.rule for failure in report.failures}


def tampered(change, bundle=GOOD):
    """Return the bytes of the bundle after `change` had its JSON."""
    value = parse(bundle.to_bytes())
    change(value)
    return canonical_bytes(value)


def only_failure(report):
    assert report.verdict is Verdict.FAILED
    assert len(report.failures) == 1, report.failures
    return report.failures[0]


def test_an_honest_bundle_is_verified_with_the_callers_keys():
    report = verify(GOOD)

    assert report.verdict is Verdict.VERIFIED
    assert report.exit_code == 0
    assert report.failures == ()
    outcomes = {check.name: check.outcome for check in report.checks}
    assert outcomes.pop("consistency") is Outcome.NOT_CHECKED
    assert set(outcomes.values()) == {Outcome.PASSED}


def test_the_same_bundle_has_the_same_bytes_and_is_read_again():
    """AUD-10."""
    assert Bundle.from_bytes(GOOD.to_bytes()) == GOOD
    assert LOG.bundle(private=True).to_bytes() == GOOD.to_bytes()


@pytest.mark.parametrize(
    "trust",
    [Trust(), LOG.trust(log_keys=()), LOG.trust(receipt_keys={})],
    ids=["no keys", "no log key", "no receipt key"],
)
def test_with_keys_from_the_bundle_it_is_only_consistent_with_itself(trust):
    """P-34."""
    report = verify(GOOD, trust)

    assert report.verdict is Verdict.SELF_CONSISTENT_ONLY
    assert report.exit_code == 3


def test_a_forged_bundle_with_its_own_keys_is_only_consistent_with_itself():
    forger = replace(story(), signer=Signer.generate(ORIGIN))
    forged = forger.bundle()

    assert verify(forged, Trust()).verdict is Verdict.SELF_CONSISTENT_ONLY
    assert only_failure(verify(forged, TRUST.__class__(log_keys=TRUST.log_keys))).rule == (
        "checkpoint-signature"
    )


def test_without_any_key_nothing_is_verified():
    assert "checkpoint-signature" in rules(verify(replace(GOOD, hints=Hints()), Trust()))


def test_a_receipt_key_is_not_needed_where_there_is_no_receipt():
    log = story()
    log.receipts.clear()

    assert verify(log.bundle(), log.trust(receipt_keys={})).verdict is Verdict.VERIFIED


def test_hints_that_are_no_keys_fail_only_who_needs_them():
    broken = replace(GOOD, hints=Hints(("no key",), {}))

    assert verify(broken).verdict is Verdict.VERIFIED
    assert "malformed" in rules(verify(broken, Trust()))


# -- tampering ------------------------------------------------------------------------------------


def at(value, path):
    for name in path:
        value = value[name]
    return value


@pytest.mark.parametrize("number", range(8))
def test_a_flipped_entry_is_named(number):
    def change(value):
        value["entries"][number]["event"]["pub"]["count"] += 1

    failure = only_failure(verify(tampered(change)))

    assert failure.rule == "inclusion"
    assert failure.where.startswith(f"entries[{number}] index {number} ")


@pytest.mark.parametrize("number", range(8))
def test_a_deleted_entry_is_named_by_its_gap(number):
    gone = LOG.events[number][0].pub

    report = verify(tampered(lambda value: value["entries"].pop(number)))

    assert {"manifest", "stream-gap"} <= rules(report)
    gaps = [failure.where for failure in report.failures if failure.rule == "stream-gap"]
    assert gaps == [f"{gone.stream}/{gone.seq}"]


def test_several_missing_entries_are_one_gap():
    def change(value):
        del value["entries"][3:7]

    gaps = [each.where for each in verify(tampered(change)).failures if each.rule == "stream-gap"]

    assert f"{GRANT_STREAM}/3 to 5" in gaps


def test_reordered_entries_are_named():
    def change(value):
        value["entries"][2], value["entries"][3] = value["entries"][3], value["entries"][2]

    failure = only_failure(verify(tampered(change)))

    assert failure.rule == "entry-order"
    assert failure.where.startswith("entries[3] index 2")


def test_an_entry_moved_to_another_index_is_named():
    def change(value):
        value["entries"][2]["index"] = 3

    report = verify(tampered(change))

    assert {"inclusion", "entry-order"} == rules(report)


def test_a_repeated_entry_is_named():
    def change(value):
        value["entries"].append(value["entries"][7])
        value["manifest"]["entries"] += 1

    assert rules(verify(tampered(change))) == {"entry-order", "stream-repeat"}


def test_a_changed_private_part_is_named():
    def change(value):
        value["entries"][1]["private"]["priv"]["vault"] = "another"

    failure = only_failure(verify(tampered(change)))

    assert failure.rule == "private-opening"
    assert failure.where.startswith("entries[1]")


@pytest.mark.parametrize(
    ("change", "where"),
    [
        (lambda value: value["streams"].pop(0), f"{GRANT_STREAM}/1"),
        (lambda value: value["streams"][0].update(last=5), f"{GRANT_STREAM}/6"),
        (lambda value: value["streams"][0].update(first=2), f"{GRANT_STREAM}/1"),
    ],
    ids=["range gone", "range shortened", "range begun later"],
)
def test_entries_outside_the_declared_ranges_are_named(change, where):
    failure = only_failure(verify(tampered(change)))

    assert (failure.where, failure.rule) == (where, "stream-undeclared")


def test_a_range_longer_than_what_is_there_is_a_gap():
    failure = only_failure(verify(tampered(lambda value: value["streams"][1].update(last=9))))

    assert failure.rule == "stream-gap"
    assert failure.where.endswith("/3 to 9")


def test_a_stream_declared_twice_is_named():
    def change(value):
        value["streams"].append(value["streams"][0])

    assert rules(verify(tampered(change))) == {"stream-repeat"}


@pytest.mark.parametrize("number", [0, 1])
def test_a_deleted_receipt_is_named(number):
    identifier = LOG.receipts[number]["dct:identifier"]

    failure = only_failure(verify(tampered(lambda value: value["receipts"].pop(number))))

    assert (failure.where, failure.rule) == (f"receipts {identifier}", "manifest")


def test_reordered_and_smuggled_receipts_are_named():
    failure = only_failure(verify(tampered(lambda value: value["receipts"].reverse())))
    assert (failure.where, failure.rule) == ("receipts", "manifest")

    smuggled = verify(tampered(lambda value: value["manifest"]["receipts"].pop()))
    assert only_failure(smuggled).detail == "there, but not listed"


def test_a_changed_receipt_is_named():
    def change(value):
        value["receipts"][1]["dct:publisher"] = "https://elsewhere.example"

    failure = only_failure(verify(tampered(change)))

    assert failure.rule == "receipt-signature"
    assert failure.where == f"receipts[1] {LOG.receipts[1]['dct:identifier']}"


def test_a_receipt_signed_by_a_strange_key_is_named():
    failure = verify(GOOD, LOG.trust(receipt_keys={"receipts-1": b"\x00" * 32})).failures[0]

    assert failure.rule == "receipt-signature"


def test_a_receipt_that_is_none_is_named():
    def change(value):
        value["receipts"][0] = {"dct:identifier": LOG.receipts[0]["dct:identifier"]}

    assert only_failure(verify(tampered(change))).rule == "receipt-form"


@pytest.mark.parametrize(
    ("kind", "facts", "detail"),
    [
        (ReceiptKind.GIVEN, {"seq": 99}, "not in the bundle"),
        (ReceiptKind.GIVEN, {"seq": 5}, "the log has consent.withdrawn"),
        (ReceiptKind.GIVEN, {"agreement_sha256": "00" * 32}, "another agreement"),
        (ReceiptKind.GIVEN, {"agreement_sha256": None}, "another agreement"),
        (ReceiptKind.GIVEN, {"stream": "g.ff"}, "not in the bundle"),
    ],
    ids=repr,
)
def test_a_genuine_receipt_that_the_log_does_not_bear_out_is_named(kind, facts, detail):
    log = story()
    log.receipts.clear()
    log.issue(kind, **facts)

    failure = only_failure(verify(log.bundle()))

    assert failure.rule == "receipt-citation"
    assert detail in failure.detail


def test_a_receipt_of_another_log_is_named():
    other = Signer.generate("other.example/log")
    log = replace(story(), signer=other)

    report = verify(replace(log.bundle(), origin=other.name), log.trust())

    assert rules(report) == {"receipt-citation"}
    assert len(report.failures) == 2


def test_an_origin_that_is_not_the_checkpoints_is_named():
    report = verify(tampered(lambda value: value.update(origin="other.example/log")))

    assert "origin" in rules(report)


def test_changed_terms_are_named():
    def change(value):
        value["agreements"][0]["terms"]["attributes"].append("contact.phone")

    failure = only_failure(verify(tampered(change)))

    assert (failure.rule, failure.where) == ("agreement-hash", f"agreements[0] {AGREEMENT}")


def test_deleted_terms_are_missed_by_the_reads():
    report = verify(tampered(lambda value: value["agreements"].clear()))

    assert rules(report) == {"manifest", "agreement-missing"}


def test_terms_without_what_a_verifier_needs_are_named():
    log = story()
    log.agreements.append({"attributes": ["contact.email"], "purpose": "p"})

    failure = only_failure(verify(log.bundle()))

    assert failure.rule == "agreement-form"
    assert "expires_at" in failure.detail


def test_a_checkpoint_of_another_tree_fails_every_entry():
    other = MemoryLog()
    other.add("vault.created", stream="v.9")

    report = verify(replace(GOOD, checkpoint=other.checkpoint()))

    assert sum(failure.rule == "inclusion" for failure in report.failures) == 8


def test_when_the_checkpoint_fails_the_rest_is_still_checked():
    def change(value):
        value["checkpoint"] = value["checkpoint"].replace("\n8\n", "\n9\n")
        value["entries"][1]["private"]["priv"]["vault"] = "another"

    assert rules(verify(tampered(change))) == {"checkpoint-signature", "private-opening"}


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b"\xff", b'{"format":"pds-bundle/2"}'])
def test_what_is_no_bundle_fails_as_malformed(data):
    failure = only_failure(verify(data))

    assert failure.rule == "malformed"


@pytest.mark.parametrize(
    ("change", "path"),
    [
        (lambda value: value.update(format="pds-bundle/2"), "format"),
        (lambda value: value.update(checkpoint=1), "checkpoint"),
        (lambda value: value.pop("hints"), "bundle: hints"),
        (lambda value: value["streams"][0].update(last=0), "streams[0].last"),
        (lambda value: value["entries"][2].update(extra=1), "entries[2]"),
        (lambda value: value["entries"][2]["event"].update(r_pub="AA=="), "entries[2].event.r_pub"),
        (lambda value: value["entries"][2].update(leaf_proof=[1]), "entries[2].leaf_proof[0]"),
        (lambda value: value["entries"][0].update(leaf_proof="x"), "entries[0].leaf_proof"),
        (lambda value: value["entries"][0].update(private=[]), "entries[0].private"),
        (lambda value: value["agreements"][0].update(sha256=""), "agreements[0].sha256"),
        (lambda value: value["hints"].update(receipt_keys={"a": "AA"}), "hints.receipt_keys.a"),
        (lambda value: value.update(consistency=[{}]), "consistency[0]"),
        (lambda value: value["receipts"].append(1), "receipts[2]"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_malformed_place_is_named_by_its_path(change, path):
    assert only_failure(verify(tampered(change))).detail.startswith(path)


# -- checkpoints seen before ----------------------------------------------------------------------


def test_a_bundle_that_extends_the_pinned_checkpoint_is_verified():
    bundle = LOG.bundle(consistency=[LOG.consistency(2), LOG.consistency(5)])

    report = verify(bundle, LOG.trust(pinned=LOG.checkpoint(5)))

    assert report.verdict is Verdict.VERIFIED
    assert "size 8 extends size 5" in {check.detail for check in report.checks}


def test_a_pinned_checkpoint_may_be_the_same_or_newer():
    older = LOG.bundle(checkpoint=LOG.checkpoint(), consistency=[LOG.consistency(8, 8)])
    assert verify(older, LOG.trust(pinned=LOG.checkpoint())).verdict is Verdict.VERIFIED

    grown = story()
    grown.add("data.read_denied", outcome="consent-withdrawn")
    bundle = LOG.bundle(consistency=[grown.consistency(8)])
    assert verify(bundle, LOG.trust(pinned=grown.checkpoint())).verdict is Verdict.VERIFIED


def test_a_rolled_back_or_forked_log_is_noticed():
    """LOG-10, LOG-22: the pinned checkpoint is of another tree."""
    fork = MemoryLog()
    for _ in range(5):
        fork.add("vault.created", stream="v.9")
    bundle = LOG.bundle(consistency=[LOG.consistency(5)])

    failure = only_failure(verify(bundle, LOG.trust(pinned=fork.checkpoint())))

    assert failure.rule == "pinned-checkpoint"


def test_without_a_proof_from_the_pinned_checkpoint_the_bundle_fails():
    failure = only_failure(verify(GOOD, LOG.trust(pinned=LOG.checkpoint(5))))

    assert failure.rule == "pinned-checkpoint"
    assert "no proof" in failure.detail


def test_a_pinned_checkpoint_counts_only_if_the_log_signed_it():
    stranger = replace(story(), signer=Signer.generate(ORIGIN))

    failure = only_failure(verify(GOOD, LOG.trust(pinned=stranger.checkpoint())))

    assert failure.rule == "pinned-checkpoint"


def test_an_empty_pinned_tree_is_extended_by_any():
    empty = MemoryLog()

    assert verify(GOOD, LOG.trust(pinned=empty.checkpoint())).verdict is Verdict.VERIFIED


def test_too_few_witnesses_fail_the_checkpoint():
    witness = Cosigner.generate("witness.example/w1", now=lambda: 1_772_000_000)
    trust = LOG.trust(witnesses=(witness.verifier,), quorum=Quorum.of(1, [witness.verifier]))

    assert "checkpoint-signature" in rules(verify(GOOD, trust))
    cosigned = LOG.bundle(checkpoint=LOG.checkpoint(signers=[witness]))
    assert verify(cosigned, trust).verdict is Verdict.VERIFIED


def test_a_log_that_grew_is_told_from_one_that_did_not():
    old, new = LOG.checkpoint(3), LOG.checkpoint()
    proof, vkey = LOG.consistency(3).hashes, LOG.signer.verifier

    assert verify_log_extension(old, new, proof, vkey).size == 8
    for wrong in ((new, old, proof, vkey), (old, new, proof[1:], vkey), (old, new, (), vkey)):
        with pytest.raises(VerificationError):
            verify_log_extension(*wrong)
    with pytest.raises(MalformedError):
        verify_log_extension("nothing", new, proof, vkey)
    with pytest.raises(VerificationError):
        verify_log_extension(old, new, proof, Signer.generate(ORIGIN).verifier)


# -- receipts with their proofs -------------------------------------------------------------------


def test_a_receipt_with_its_proof_is_verified():
    """P-31: the proof comes beside the receipt."""
    report = verify_receipt(LOG.receipts[0], LOG.proof(1), TRUST)

    assert report.verdict is Verdict.VERIFIED
    assert [check.outcome for check in report.checks] == [Outcome.PASSED] * 3


def test_a_receipt_without_its_proof_yet_is_verified_but_says_so():
    report = verify_receipt(LOG.receipts[0], None, TRUST)

    assert report.verdict is Verdict.VERIFIED
    assert report.checks[-1].outcome is Outcome.NOT_CHECKED


@pytest.mark.parametrize("missing", ["log_keys", "receipt_keys"])
def test_a_receipt_without_the_callers_keys_is_not_verified(missing):
    trust = LOG.trust(**{missing: {} if missing == "receipt_keys" else ()})

    report = verify_receipt(LOG.receipts[0], LOG.proof(1), trust)

    assert report.verdict is Verdict.SELF_CONSISTENT_ONLY


def test_a_proof_of_another_entry_does_not_fit_the_receipt():
    report = verify_receipt(LOG.receipts[0], LOG.proof(6), TRUST)

    assert rules(report) == {"receipt-citation"}


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        (lambda proof: replace(proof, index=2), "inclusion"),
        (lambda proof: replace(proof, hashes=proof.hashes[::-1]), "inclusion"),
        (lambda proof: replace(proof, extra=None), "inclusion"),
        (lambda proof: replace(proof, extra=b"{}"), "inclusion"),
        (lambda proof: replace(proof, checkpoint=LOG.checkpoint(7)), "inclusion"),
        (lambda proof: replace(proof, checkpoint="none\n"), "inclusion"),
    ],
)
def test_a_changed_proof_fails_the_receipt(change, rule):
    proof = change(Proof.from_text(LOG.proof(1)))

    assert rules(verify_receipt(LOG.receipts[0], proof.to_text(), TRUST)) == {rule}


def test_a_changed_receipt_fails_whatever_its_proof():
    report = verify_receipt(LOG.receipts[0] | {"dct:publisher": "x"}, LOG.proof(1), TRUST)

    assert rules(report) == {"receipt-signature"}


def test_what_is_no_receipt_fails():
    assert rules(verify_receipt({"kind": "given"}, None, TRUST)) == {"receipt-form"}


# -- frozen ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "case"),
    [(name, case) for name in ("bundle", "bundle-erased") for case in load(name)["cases"]],
    ids=lambda each: each if isinstance(each, str) else each["name"],
)
def test_frozen_bundles_have_their_verdicts(name, case):
    vectors = load(name)
    value = json.loads(json.dumps(vectors["bundle"]))
    for path, new in case["changes"]:
        at(value, path[:-1])[path[-1]] = new
    public = {kid: bytes.fromhex(key) for kid, key in vectors["receipt_keys"].items()}
    log_key = TRUST.log_keys[0].from_text(vectors["vkey"])
    trust = Trust((log_key,), public) if case["keys"] else Trust()

    report = verify_bundle(canonical_bytes(value), trust)

    assert report.verdict == case["expect"]
    assert rules(report) == set(case["rules"])


def test_a_bundle_for_an_agreement_is_found_by_its_hash():
    assert sha256_hex(GOOD.agreements[0].terms) == AGREEMENT


def test_a_key_on_no_curve_is_no_key():
    key = Ed25519PrivateKey.generate()
    report = verify(GOOD, LOG.trust(receipt_keys={"other": key.public_key().public_bytes_raw()}))

    assert "no known key" in report.failures[0].detail


def test_a_receipt_that_is_there_twice_is_named():
    def change(value):
        value["receipts"].append(value["receipts"][0])

    assert rules(verify(tampered(change))) == {"manifest"}


def test_a_report_claims_nothing_that_was_not_looked_at():
    report = verify(tampered(lambda value: value.update(checkpoint="none")))

    said = {check.name: check.detail for check in report.checks}
    assert said["entries"].startswith("8 not looked for in the log")
    assert said["checkpoint"] == "1 wrong"
