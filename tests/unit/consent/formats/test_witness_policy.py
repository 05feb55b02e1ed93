"""C2SP tlog-policy: how it is read, and when it is met."""

from __future__ import annotations

import pytest

from consent.formats.cosignature import CosignatureVerifier
from consent.formats.errors import MalformedError
from consent.formats.note import Verifier
from consent.formats.witness_policy import Policy, Quorum

# The same in every process: they are part of the tests' names.
LOG = Verifier("vault.example/log", bytes(32)).to_text()
KEYS = [CosignatureVerifier(f"witness.example/{n}", bytes([n]) * 32) for n in range(6)]
W = [key.to_text() for key in KEYS]
P = [key.public_key for key in KEYS]
EXAMPLE = f"""# the example of the specification
log {LOG}

witness X1 {W[0]}
witness X2 {W[1]}\thttps://x2.example/w
witness X3 {W[2]}
  group X-witnesses 2 X1 X2 X3
witness Y1 {W[3]}
witness Y2 {W[4]}
witness Y3 {W[5]}
group Y-witnesses any Y1 Y2 Y3
group X-and-Y all X-witnesses Y-witnesses
quorum X-and-Y
"""


def read(text):
    return Policy.from_bytes(text.encode("utf-8", "surrogateescape"))


@pytest.mark.parametrize(
    ("signed", "enough"),
    [
        ([], False),
        ([0, 1], False),
        ([0, 1, 3], True),
        ([0, 3, 4, 5], False),
        ([1, 2, 5], True),
        ([3, 4, 5], False),
        ([0, 1, 2, 3, 4, 5], True),
    ],
    ids=str,
)
def test_the_specifications_example_is_met_by_two_of_x_and_one_of_y(signed, enough):
    policy = read(EXAMPLE)

    assert policy.quorum.met_by({P[number] for number in signed}) is enough


def test_logs_witnesses_and_their_addresses_are_read():
    policy = read(EXAMPLE)

    assert [log.key.to_text() for log in policy.logs] == [LOG]
    assert [one.key.to_text() for one in policy.witnesses] == W
    assert [one.url for one in policy.witnesses][:2] == [None, "https://x2.example/w"]


def test_a_single_witness_or_none_may_be_the_quorum():
    assert read("quorum none\n").quorum.met_by(())
    one = read(f"witness a {W[0]}\nquorum a\n").quorum
    assert one.met_by({P[0]})
    assert not one.met_by({P[1]})


def test_names_are_opaque():
    policy = read(
        f"witness \udcff\udcfe {W[0]}\nwitness ş {W[1]}\ngroup g all ş \udcff\udcfe\nquorum g\n"
    )

    assert policy.quorum.met_by(set(P[:2]))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "quorum none",
        "\n",
        "quorum none\nquorum none\n",
        "quorum a\n",
        f"quorum a\nwitness a {W[0]}\n",
        f"witness a {W[0]}\n",
        f"witness a {W[0]}\nwitness a {W[1]}\nquorum a\n",
        f"witness a {W[0]}\nwitness b {W[0]}\nquorum a\n",
        f"log {LOG}\nlog {LOG}\nquorum none\n",
        f"log {W[0]}\nquorum none\n",
        f"witness a {LOG}\nquorum a\n",
        f"witness none {W[0]}\nquorum none\n",
        f"witness a {W[0]}\ngroup g any\nquorum g\n",
        f"witness a {W[0]}\ngroup g 0 a\nquorum g\n",
        f"witness a {W[0]}\ngroup g 2 a\nquorum g\n",
        f"witness a {W[0]}\ngroup g 01 a\nquorum g\n",
        f"witness a {W[0]}\ngroup g 2 a a\nquorum g\n",
        f"witness a {W[0]}\ngroup g any a\ngroup h any a\nquorum h\n",
        f"witness a {W[0]}\ngroup g any a none\nquorum g\n",
        "group g any g\nquorum g\n",
        f"witness a {W[0]} https://a.example more\nquorum a\n",
        f"witness a {W[0]}\r\nquorum a\n",
        f"witness a\u00a0{W[0]}\nquorum a\n",
        "order any a\nquorum none\n",
    ],
)
def test_what_breaks_a_rule_is_refused(text):
    with pytest.raises(MalformedError):
        read(text)


def test_the_line_is_named():
    with pytest.raises(MalformedError, match=r"^line 2: "):
        read("# fine\nwitness\nquorum none\n")


def test_k_of_a_list_counts_keys_not_names():
    twice = [KEYS[0], KEYS[0], KEYS[1]]

    assert not Quorum.of(2, twice).met_by({P[0]})
    assert Quorum.of(2, twice).met_by({P[0], P[1]})
