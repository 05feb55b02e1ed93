"""The blinded leaf (LOG-6 to LOG-9, P-32)."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest

from consent.formats.errors import MalformedError, VerificationError
from consent.formats.leaf import (
    ENTRY_BYTES,
    PublicOpening,
    PublicPart,
    commit,
    entry_bytes,
    open_private,
    open_public,
    to_minute,
)
from tests.support.vectors import load

R_PUB, R_PRIV = b"p" * 32, b"q" * 32
PUB = PublicPart(
    event="data.read",
    time="2026-03-01T12:00:00Z",
    stream="g.00",
    seq=3,
    client="client",
    grant="grant",
    collections=("contact", "profile"),
    purpose="service_provision",
    agreement_sha256="a1" * 32,
    outcome="ok",
    count=2,
)
PRIV = {"vault": "v", "records": [["r1", 4, "b2" * 32]], "address": None}
LEAF = commit(PUB, PRIV, r_pub=R_PUB, r_priv=R_PRIV)


@pytest.mark.parametrize("case", load("leaf"), ids=lambda case: case["name"])
def test_frozen_leaves_hold(case):
    def open_it():
        entry, r_pub, r_priv, c_pub, c_priv = (
            bytes.fromhex(case[name]) for name in ("entry", "r_pub", "r_priv", "c_pub", "c_priv")
        )
        open_public(entry, case["pub"], r_pub=r_pub, c_priv=c_priv)
        open_private(entry, case["priv"], r_priv=r_priv, c_pub=c_pub)

    if case["expect"] == "ok":
        open_it()
    else:
        errors = {"verification": VerificationError, "malformed": MalformedError}
        with pytest.raises(errors[case["expect"]]):
            open_it()


def test_the_entry_is_built_as_documented():
    """LOG-6, from the layout and nothing else."""
    pub = (
        b'{"agreement_sha256":"' + b"a1" * 32 + b'","client":"client","collections":["contact",'
        b'"profile"],"count":2,"event":"data.read","grant":"grant","outcome":"ok","purpose":'
        b'"service_provision","seq":3,"stream":"g.00","time":"2026-03-01T12:00:00Z"}'
    )
    c_pub = hmac.digest(R_PUB, pub, "sha256")

    c = hashlib.sha256(b"pds/leaf/1" + c_pub + LEAF.c_priv).digest()

    assert LEAF.c_pub == c_pub
    assert LEAF.entry == b"\x01" + c
    assert len(LEAF.entry) == ENTRY_BYTES


def test_either_part_opens_without_the_other():
    assert open_public(LEAF.entry, PUB.to_dict(), r_pub=R_PUB, c_priv=LEAF.c_priv) == PUB
    open_private(LEAF.entry, PRIV, r_priv=R_PRIV, c_pub=LEAF.c_pub)


def test_nothing_else_opens_it():
    other = replace(PUB, count=3).to_dict()
    for pub, r_pub, c_priv in (
        (other, R_PUB, LEAF.c_priv),
        (PUB.to_dict(), R_PRIV, LEAF.c_priv),
        (PUB.to_dict(), R_PUB, LEAF.c_pub),
    ):
        with pytest.raises(VerificationError):
            open_public(LEAF.entry, pub, r_pub=r_pub, c_priv=c_priv)
    for priv, r_priv, c_pub in (
        (PRIV | {"vault": "w"}, R_PRIV, LEAF.c_pub),
        (PRIV, R_PUB, LEAF.c_pub),
        (PRIV, R_PRIV, LEAF.c_priv),
    ):
        with pytest.raises(VerificationError):
            open_private(LEAF.entry, priv, r_priv=r_priv, c_pub=c_pub)


def test_public_and_private_part_cannot_be_exchanged():
    swapped = entry_bytes(LEAF.c_priv, LEAF.c_pub)

    assert swapped != LEAF.entry


def test_an_entry_of_another_version_does_not_open():
    with pytest.raises(VerificationError):
        open_public(b"\x02" + LEAF.entry[1:], PUB.to_dict(), r_pub=R_PUB, c_priv=LEAF.c_priv)


def test_equal_events_have_different_entries():
    """LOG-6: a guess at a low-entropy event is not confirmed by the log."""
    again = commit(PUB, PRIV, r_pub=b"r" * 32, r_priv=R_PRIV)

    assert again.entry != LEAF.entry
    assert again.c_priv == LEAF.c_priv


def test_an_absent_private_part_is_the_empty_object():
    leaf = commit(PUB, None, r_pub=R_PUB, r_priv=R_PRIV)

    assert leaf == commit(PUB, {}, r_pub=R_PUB, r_priv=R_PRIV)
    open_private(leaf.entry, {}, r_priv=R_PRIV, c_pub=leaf.c_pub)


@pytest.mark.parametrize(("r_pub", "r_priv"), [(b"", R_PRIV), (R_PUB, b"x" * 31)])
def test_a_blinding_has_32_bytes(r_pub, r_priv):
    with pytest.raises(MalformedError):
        commit(PUB, PRIV, r_pub=r_pub, r_priv=r_priv)


@pytest.mark.parametrize(("c_pub", "c_priv"), [(b"", bytes(32)), (bytes(32), bytes(33))])
def test_a_commitment_has_32_bytes(c_pub, c_priv):
    with pytest.raises(MalformedError):
        entry_bytes(c_pub, c_priv)


def test_the_public_part_comes_back():
    assert PublicPart.from_dict(PUB.to_dict()) == PUB
    assert PublicPart.from_dict(PublicPart("d.x", PUB.time, "d", 1).to_dict()).client is None


@pytest.mark.parametrize(
    "member",
    [
        {"event": "read"},
        {"event": "Data.read"},
        {"event": "data.read\n"},
        {"time": "2026-03-01T12:00:30Z"},
        {"time": "2026-03-01T12:00Z"},
        {"time": "2026-02-31T12:00:00Z"},
        {"time": "2026-03-01T12:00:00+00:00"},
        {"stream": ""},
        {"stream": 1},
        {"seq": 0},
        {"seq": True},
        {"seq": 2**53},
        {"client": ""},
        {"grant": 7},
        {"collections": ["contact", "contact"]},
        {"collections": "contact"},
        {"purpose": "x" * 1025},
        {"agreement_sha256": "A1" * 32},
        {"agreement_sha256": None, "outcome": "Not OK"},
        {"count": -1},
        {"count": 1.0},
        {"vault": "v"},
    ],
    ids=repr,
)
def test_a_public_part_of_another_form_is_refused(member):
    """P-32 names its members exactly; the vault is not among them."""
    with pytest.raises(MalformedError):
        PublicPart.from_dict(PUB.to_dict() | member)


@pytest.mark.parametrize("name", PUB.to_dict())
def test_no_member_of_the_public_part_may_be_left_out(name):
    value = PUB.to_dict()
    del value[name]

    with pytest.raises(MalformedError, match=name):
        PublicPart.from_dict(value)


def test_what_breaks_the_form_is_not_committed_to():
    with pytest.raises(MalformedError):
        commit(replace(PUB, seq=0), PRIV, r_pub=R_PUB, r_priv=R_PRIV)
    with pytest.raises(MalformedError):
        commit(PUB, {"price": 1.5}, r_pub=R_PUB, r_priv=R_PRIV)


def test_time_is_cut_to_the_minute_in_utc():
    baku = timezone(timedelta(hours=4))

    assert to_minute(datetime(2026, 3, 1, 16, 0, 59, tzinfo=baku)) == "2026-03-01T12:00:00Z"
    assert to_minute(datetime(2026, 3, 1, 12, 0, tzinfo=UTC)) == "2026-03-01T12:00:00Z"


def test_a_time_without_zone_is_refused():
    with pytest.raises(MalformedError):
        to_minute(datetime(2026, 3, 1, 12, 0))  # noqa: DTZ001 - what the test is about


def test_an_opening_comes_back_and_gives_the_entry():
    opening = PublicOpening(PUB, R_PUB, LEAF.c_priv)

    assert PublicOpening.from_dict(opening.to_dict()) == opening
    assert opening.entry() == LEAF.entry
    with pytest.raises(MalformedError, match=r"event\.r_pub"):
        PublicOpening.from_dict(opening.to_dict() | {"r_pub": "AA"})
