"""Consent receipts (CM-16 to CM-19) and deletion receipts (CON-G4)."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from joserfc import jws as joserfc_jws
from joserfc.jwk import OKPKey

from consent.formats import deletion_receipt, dpv_terms, jws, obligation_answer, receipt
from consent.formats.canonical import canonical_bytes, parse
from consent.formats.deletion_receipt import DeletionFacts, Outcome
from consent.formats.encoding import b64u
from consent.formats.errors import FormatError, MalformedError, VerificationError
from consent.formats.obligation_answer import AnswerFacts, Kind
from consent.formats.obligation_answer import Outcome as AnswerOutcome
from consent.formats.receipt_facts import ReceiptKind
from consent.formats.receipt_shape import STATUS_TERMS
from tests.support.receipt_samples import receipt_facts
from tests.support.vectors import load

KEY = Ed25519PrivateKey.from_private_bytes(b"k" * 32)
KEYS = {"r1": KEY.public_key().public_bytes_raw()}
DPV = load("dpv-2.3-terms")
DELETION = DeletionFacts(
    connection="6f1c1f1e-0000-4000-8000-000000000010",
    agreement="6f1c1f1e-0000-4000-8000-000000000011",
    requested_at="2026-03-04T12:00:00Z",
    erased_at="2026-03-05T08:00:00Z",
    outcome=Outcome.ERASED,
    reason=None,
    items={"profile": 2, "contact": 1},
    connector="pds-connector 0.1.0",
    verified_by_reread=True,
)


def record(document):
    return document["dpv:hasRecordOfActivity"][0]


def members(value, path=()):
    """Yield the path of every member and item of a JSON value."""
    for name, inner in value.items() if isinstance(value, dict) else enumerate(value):
        yield (*path, name)
        if isinstance(inner, dict | list):
            yield from members(inner, (*path, name))


def changed(document, path, change):
    copy = parse(canonical_bytes(document))
    inner = copy
    for name in path[:-1]:
        inner = inner[name]
    change(inner, path[-1])
    return copy


@pytest.mark.parametrize("kind", ReceiptKind, ids=str)
def test_every_kind_is_built_signed_and_verified(kind):
    signed = receipt.sign(receipt.build(receipt_facts(kind)), KEY, "r1")

    receipt.verify(signed, KEYS)
    cited = receipt.citation(signed)

    assert (cited.kind, cited.log.seq) == (kind, 1)
    assert cited.kind.event == f"consent.{kind}"
    last = record(signed)["dpv:hasConsentStatus"][-1]
    assert last["@type"][0] == STATUS_TERMS[kind][0]


def test_statuses_are_those_of_dpv_2_3():
    """CM-1: an end by the organisation is ConsentRevoked; ConsentTerminated does not exist."""
    assert STATUS_TERMS[ReceiptKind.TERMINATED][0] == "dpv:ConsentRevoked"
    assert not dpv_terms.is_known("dpv:ConsentTerminated")


def test_every_dpv_term_that_we_may_write_exists():
    """CM-19, against the vocabulary's own list."""
    ours = dpv_terms.STRUCTURE | dpv_terms.STATUSES | dpv_terms.LEGAL_BASES | dpv_terms.PURPOSES

    assert ours <= set(DPV["dpv"])
    assert set(DPV["pd"]) == dpv_terms.PERSONAL_DATA


def test_the_shape_is_27560s():
    """CM-16, CM-18: the fields that make a receipt evidence."""
    built = receipt.build(receipt_facts())

    assert built["dct:conformsTo"] == "https://w3id.org/dpv/schema/dpv-27560#receipt"
    assert record(built)["dct:conformsTo"] == "https://w3id.org/dpv/schema/dpv-27560#record"
    assert built["schema:recipient"] == "dpv:DataSubject"
    assert record(built)["dpv:hasNotice"]["sha256"]
    assert record(built)["dpv:hasConsentControl"]["dpv:isExercisedAt"].startswith("https://")
    assert record(built)["dpv:hasRight"]
    assert set(built["log"]) == {"origin", "stream", "seq"}


@pytest.mark.parametrize(
    "facts",
    [
        receipt_facts(receipt_id="not a uuid"),
        replace(receipt_facts(), statuses=()),
        replace(receipt_facts(), processes=()),
        replace(receipt_facts(), rights=()),
        replace(receipt_facts(), publisher=""),
        replace(receipt_facts(), jurisdiction="Azerbaijan"),
        replace(receipt_facts(), created_at="2026-03-05"),
        replace(receipt_facts(), denied_attributes=("everything",)),
        replace(receipt_facts(), notice=replace(receipt_facts().notice, sha256="")),
        replace(
            receipt_facts(),
            processes=(replace(receipt_facts().processes[0], purpose="dpv:Mischief"),),
        ),
        replace(receipt_facts(), processes=(replace(receipt_facts().processes[0], recipients=()),)),
        replace(
            receipt_facts(),
            processes=(
                replace(
                    receipt_facts().processes[0],
                    personal_data=(
                        replace(receipt_facts().processes[0].personal_data[0], kind="pd:ShoeSize"),
                    ),
                ),
            ),
        ),
    ],
)
def test_a_mandatory_field_may_not_be_empty_and_a_term_must_exist(facts):
    with pytest.raises(MalformedError):
        receipt.build(facts)


@pytest.mark.parametrize("pseudonym", ["aysel@mail.example", "Aysel Məmmədova", "short", ""])
def test_the_data_subject_is_a_pseudonym(pseudonym):
    """CM-17: no address, no name."""
    with pytest.raises(MalformedError):
        receipt.build(replace(receipt_facts(), data_subject=pseudonym))


def test_the_notice_comes_before_the_decision():
    """CM-19, level B."""
    late = replace(receipt_facts().notice, shown_at="2026-03-01T12:00:31Z")

    with pytest.raises(MalformedError, match="after the decision"):
        receipt.build(replace(receipt_facts(), notice=late))


def test_the_history_is_numbered_and_in_order_of_time():
    """CM-15."""
    facts = receipt_facts(ReceiptKind.WITHDRAWN)
    first, second = facts.statuses
    earlier = replace(second, at="2026-03-01T12:00:29Z")
    for statuses in ((first, replace(second, seq=3)), (first, earlier), (second,)):
        with pytest.raises(MalformedError):
            receipt.build(replace(facts, statuses=statuses))


def test_a_receipt_cannot_say_one_kind_and_mean_another():
    built = receipt.build(receipt_facts(ReceiptKind.WITHDRAWN))

    with pytest.raises(MalformedError, match="kind"):
        receipt.check(built | {"kind": "given"})


def test_no_member_can_be_changed_added_or_removed():
    """Each place of a signed receipt, one after the other."""
    signed = receipt.sign(receipt.build(receipt_facts(ReceiptKind.WITHDRAWN)), KEY, "r1")

    for path in list(members(signed)):
        for change in (
            lambda inner, name: inner.__setitem__(name, "changed"),
            lambda inner, name: inner.pop(name),
        ):
            with pytest.raises(FormatError):
                receipt.verify(changed(signed, path, change), KEYS)
    for path in [(), ("log",), ("dpv:hasRecordOfActivity", 0), ("proof",)]:
        with pytest.raises(FormatError):
            receipt.verify(
                changed(signed, (*path, "x"), lambda inner, name: inner.__setitem__(name, 1)),
                KEYS,
            )


def test_only_the_callers_keys_count():
    signed = receipt.sign(receipt.build(receipt_facts()), KEY, "r1")
    forger = Ed25519PrivateKey.generate().public_key().public_bytes_raw()

    for keys in ({}, {"r2": KEYS["r1"]}, {"r1": forger}, {"r1": b"no key"}):
        with pytest.raises(VerificationError):
            receipt.verify(signed, keys)


def test_a_receipt_is_signed_once():
    signed = receipt.sign(receipt.build(receipt_facts()), KEY, "r1")

    with pytest.raises(MalformedError):
        receipt.sign(signed, KEY, "r1")


def test_what_is_no_receipt_is_not_signed():
    for sign in (receipt.sign, deletion_receipt.sign, obligation_answer.sign):
        with pytest.raises(MalformedError):
            sign({"hello": "world"}, KEY, "r1")


def test_one_kind_of_document_is_not_passed_off_as_another():
    """The header's `typ` separates what one key signs."""
    body = deletion_receipt.build(DELETION)
    signed = jws.sign(body, KEY, kid="r1", typ=receipt.TYPE)

    with pytest.raises(MalformedError):
        deletion_receipt.verify(signed, KEYS)


@pytest.mark.parametrize(
    "header",
    [
        {"alg": "none", "kid": "r1", "typ": deletion_receipt.TYPE},
        {"alg": "HS256", "kid": "r1", "typ": deletion_receipt.TYPE},
        {"alg": "EdDSA", "kid": "r1"},
        {"alg": "EdDSA", "kid": 1, "typ": deletion_receipt.TYPE},
        {"alg": "EdDSA", "kid": "r1", "typ": deletion_receipt.TYPE, "jwk": {}},
    ],
    ids=repr,
)
def test_the_header_chooses_neither_algorithm_nor_key(header):
    body = deletion_receipt.build(DELETION)
    encoded = b64u(canonical_bytes(header))
    signature = KEY.sign(f"{encoded}.{b64u(canonical_bytes(body))}".encode())
    proof = {"jws": f"{encoded}..{b64u(signature)}"}

    with pytest.raises(MalformedError):
        deletion_receipt.verify(body | {"proof": proof}, KEYS)


@pytest.mark.parametrize(
    "proof",
    [
        *(None, {}, "text", {"jws": 1}, {"jws": "a.b.c"}, {"jws": "a..b..c"}, {"jws": ".."}),
        *({"jws": "e30..AA"}, {"jws": "x" * 2000}, {"jws": "", "x": 1}),
    ],
    ids=repr,
)
def test_a_proof_of_another_form_is_refused(proof):
    with pytest.raises(MalformedError):
        receipt.verify(receipt.build(receipt_facts()) | {"proof": proof}, KEYS)


@pytest.mark.parametrize("document", [None, [], "text", {}, {"proof": {}}, {"kind": "given"}])
def test_what_is_no_receipt_raises_nothing_but_a_format_error(document):
    for read in (lambda: receipt.verify(document, KEYS), lambda: receipt.citation(document)):
        with pytest.raises(FormatError):
            read()


# RFC 9864 has a new name for the algorithm, which few libraries know yet.
@pytest.mark.filterwarnings("ignore:EdDSA is deprecated")
def test_a_json_library_of_another_make_reads_the_signature():
    """The detached JWS verifies by RFC 7515 alone, without this project's code."""
    signed = receipt.sign(receipt.build(receipt_facts()), KEY, "r1")
    payload = {name: value for name, value in signed.items() if name != "proof"}
    header, _, signature = signed["proof"]["jws"].split(".")
    compact = f"{header}.{b64u(canonical_bytes(payload))}.{signature}"
    key = OKPKey.import_key({"kty": "OKP", "crv": "Ed25519", "x": b64u(KEYS["r1"])})

    read = joserfc_jws.deserialize_compact(compact, key, algorithms=["EdDSA"])

    assert json.loads(read.payload) == payload


def test_a_deletion_receipt_counts_and_names_no_value():
    signed = deletion_receipt.sign(deletion_receipt.build(DELETION), KEY, "r1")

    deletion_receipt.verify(signed, KEYS)

    assert signed["items"] == [
        {"collection": "contact", "attributes": 1},
        {"collection": "profile", "attributes": 2},
    ]


def test_no_member_of_a_deletion_receipt_can_be_changed_or_removed():
    signed = deletion_receipt.sign(deletion_receipt.build(DELETION), KEY, "r1")

    for path in list(members(signed)):
        for change in (
            lambda inner, name: inner.__setitem__(name, "changed"),
            lambda inner, name: inner.pop(name),
        ):
            with pytest.raises(FormatError):
                deletion_receipt.verify(changed(signed, path, change), KEYS)


@pytest.mark.parametrize(
    "facts",
    [
        {"erased_at": None},
        {"erased_at": "2026-03-04T11:59:59Z"},
        {"verified_by_reread": False},
        {"reason": "legal_hold"},
        {"outcome": Outcome.BLOCKED},
        {"outcome": Outcome.BLOCKED, "reason": "legal_hold"},
        {"outcome": Outcome.BLOCKED, "erased_at": None},
        {"outcome": Outcome.BLOCKED, "erased_at": None, "reason": "Because!"},
        {"items": {"contact": -1}},
        {"items": {"Contact": 1}},
        {"connector": ""},
    ],
    ids=repr,
)
def test_a_deletion_receipt_that_contradicts_itself_is_refused(facts):
    with pytest.raises(MalformedError):
        deletion_receipt.build(replace(DELETION, **facts))


def test_a_deletion_receipt_names_each_collection_once():
    built = deletion_receipt.build(DELETION)

    with pytest.raises(MalformedError):
        deletion_receipt.check(built | {"items": built["items"] * 2})


def test_a_re_read_happened_or_did_not():
    built = deletion_receipt.build(DELETION)

    with pytest.raises(MalformedError, match="verified_by_reread"):
        deletion_receipt.check(built | {"verified_by_reread": "yes"})


def test_a_blocked_deletion_has_its_reason():
    blocked = replace(
        DELETION,
        outcome=Outcome.BLOCKED,
        erased_at=None,
        reason="legal_hold",
        verified_by_reread=False,
    )

    assert deletion_receipt.build(blocked)["reason"] == "legal_hold"


ANSWER = AnswerFacts(
    obligation="a3c1f7d2-93b1-4a52-b6a0-52f0c3f2f9d1",
    agreement="6f1c1f1e-0000-4000-8000-0000000000cc",
    kind=Kind.NOTIFY,
    outcome=AnswerOutcome.DONE,
    reason=None,
    answered_at="2026-03-05T08:00:00Z",
)


def test_no_member_of_an_obligation_answer_can_be_changed_or_removed():
    """CM-7, LEAD-4."""
    signed = obligation_answer.sign(obligation_answer.build(ANSWER), KEY, "r1")
    obligation_answer.verify(signed, KEYS)

    for path in list(members(signed)):
        for change in (
            lambda inner, name: inner.__setitem__(name, "changed"),
            lambda inner, name: inner.pop(name),
        ):
            with pytest.raises(FormatError):
                obligation_answer.verify(changed(signed, path, change), KEYS)


@pytest.mark.parametrize(
    "facts",
    [
        {"outcome": AnswerOutcome.RETAINED},
        {"reason": "legal_hold"},
        {"outcome": AnswerOutcome.RETAINED, "reason": "Because!"},
        {"obligation": ""},
        {"answered_at": "yesterday"},
    ],
    ids=repr,
)
def test_an_obligation_answer_that_contradicts_itself_is_refused(facts):
    with pytest.raises(MalformedError):
        obligation_answer.build(replace(ANSWER, **facts))


@pytest.mark.parametrize("case", load("receipt"), ids=lambda case: case["name"])
def test_frozen_receipts_verify_or_do_not(case):
    verify = {"consent": receipt.verify, "deletion": deletion_receipt.verify}[case["kind"]]
    keys = {kid: bytes.fromhex(key) for kid, key in case["keys"].items()}

    if case["expect"] == "ok":
        verify(case["receipt"], keys)
    else:
        errors = {"verification": VerificationError, "malformed": MalformedError}
        with pytest.raises(errors[case["expect"]]):
            verify(case["receipt"], keys)
