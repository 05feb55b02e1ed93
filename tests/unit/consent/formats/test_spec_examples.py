"""The examples of docs/spec are true: each is checked with the keys that stand beside it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from consent.formats import deletion_receipt, obligation_answer, receipt
from consent.formats.canonical import canonical_bytes
from consent.formats.encoding import b64u_decode
from consent.formats.leaf import commit, open_private, open_public
from consent.formats.meaning import ENDS
from consent.formats.note import Verifier
from consent.formats.receipt_facts import ReceiptKind
from consent.formats.receipt_shape import STATUS_TERMS
from consent.formats.report import Verdict
from consent.formats.trust import Trust
from consent.formats.verify import verify_bundle

SPECIFICATIONS = Path(__file__).parents[4] / "docs" / "spec"
SOURCES = Path(__file__).parents[4] / "consent" / "formats"


def read(name):
    """Return a specification's text and its first example."""
    text = (SPECIFICATIONS / f"{name}.md").read_text(encoding="utf-8")
    return text, json.loads(re.search(r"```json\n(.*?)```", text, re.DOTALL)[1])


def test_the_leaf_is_what_it_opens_to():
    _, example = read("leaf")
    names = ("entry", "r_pub", "r_priv", "c_pub", "c_priv")
    raw = {name: b64u_decode(example[name]) for name in names}

    pub = open_public(raw["entry"], example["pub"], r_pub=raw["r_pub"], c_priv=raw["c_priv"])
    open_private(raw["entry"], example["priv"], r_priv=raw["r_priv"], c_pub=raw["c_pub"])

    leaf = commit(pub, example["priv"], r_pub=raw["r_pub"], r_priv=raw["r_priv"])
    assert leaf.entry == raw["entry"]


def test_the_leafs_table_names_every_member_of_the_public_part():
    text, example = read("leaf")
    named = re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE)

    assert sorted(named) == sorted(example["pub"])


@pytest.mark.parametrize(
    ("name", "verify"),
    [
        ("receipt", receipt.verify),
        ("deletion-receipt", deletion_receipt.verify),
        ("obligation-answer", obligation_answer.verify),
    ],
)
def test_receipts_verify_under_the_key_shown(name, verify):
    text, example = read(name)
    key, kid = re.search(r"key `([\w-]{43})` \(base64url\), known as `([\w-]+)`", text).groups()

    verify(example, {kid: b64u_decode(key)})


def test_the_receipts_table_is_the_codes():
    text, _ = read("receipt")
    rows = re.findall(r"^\| `(\w+)` \| `(\S+)` \| `(\S+)` \| `(\S+)` \|", text, re.MULTILINE)

    assert rows == [(kind.value, *STATUS_TERMS[kind], kind.event) for kind in ReceiptKind]


def test_the_bundle_is_verified_under_the_key_shown_and_not_without():
    text, example = read("bundle")
    vkey = re.search(r"the log's key `(\S+)`", text)[1]
    data = canonical_bytes(example)

    assert verify_bundle(data, Trust((Verifier.from_text(vkey),))).verdict is Verdict.VERIFIED
    assert verify_bundle(data, Trust()).verdict is Verdict.SELF_CONSISTENT_ONLY


def test_the_bundles_specification_names_every_rule_and_no_other():
    text, _ = read("bundle")
    sources = [
        (SOURCES / f"{name}.py").read_text(encoding="utf-8")
        for name in ("bundle_checks", "meaning")
    ]
    shape = r'"((?:read|stream|entry|agreement|receipt|pinned|checkpoint|private)-[a-z-]+)"'
    coded = set(re.findall(shape, "".join(sources)))

    assert set(re.findall(shape.replace('"', "`"), text)) == coded
    for event in ENDS:
        assert f"`.{event.partition('.')[2]}`" in text or f"`{event}`" in text
