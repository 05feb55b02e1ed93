"""Every parser of the formats on hostile input: its own error, soon, in little memory (LOG-32).

Valid documents with bytes changed, cut, doubled or put in, and what parsers stumble over: deep
nesting, huge numbers, long texts, wrong encodings. The verifier that is fed such a file ends with
a report.
"""

from __future__ import annotations

import gzip
import io
import json
import re
import time
import tracemalloc
import zipfile
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent import formats
from consent.formats import deletion_receipt, meaning, obligation_answer, receipt, reconciliation
from consent.formats.bundle import Bundle
from consent.formats.canonical import parse
from consent.formats.checkpoint import Checkpoint, open_checkpoint
from consent.formats.cosignature import CosignatureVerifier, Cosigner
from consent.formats.epochs import verify_continuation
from consent.formats.errors import FormatError
from consent.formats.leaf import PublicOpening, PublicPart
from consent.formats.note import Signer, Verifier, open_note
from consent.formats.pack import Manifest
from consent.formats.proof import Proof
from consent.formats.report import Findings
from consent.formats.stream_page import StreamPage
from consent.formats.tiles import decode_bundle, encode_bundle, parse_path
from consent.formats.vault_rows import OpenedEvent, Row, VersionRow, compare_rows
from consent.formats.verify import verify_bundle, verify_receipt
from consent.formats.witness_policy import Policy
from consent.formats.witnessing import AddCheckpoint, parse_size_body
from consent.verifier import cli
from tests.support.evidence import story
from tests.support.mutations import JUNK

LOG = story()
NOTE = LOG.checkpoint()
TEXT = NOTE.partition("\n\n")[0] + "\n"
KEY = LOG.signer.verifier
BUNDLE = LOG.bundle(private=True, consistency=[LOG.consistency(5)])
OPENING = LOG.events[0][0].to_dict()
PAGE = StreamPage("g.1", NOTE, (), BUNDLE.entries[:2], has_more=False).to_dict()
ASKED = AddCheckpoint(3, (b"h" * 32,), NOTE).to_text()
SIGNED = {"proof": LOG.receipts[0]["proof"]}
MANIFEST = {
    "format": "pds-pack/2",
    "origin": "vault.example/log",
    "checkpoint": NOTE,
    "engagement": "e",
    "period": ["2026-03-01T12:00:00Z", "2026-04-01T12:00:00Z"],
    "filter": {},
    "files": [{"name": "records.jsonl", "bytes": 2, "sha256": "a" * 64}],
    "entries": 5000,
    **SIGNED,
}
POLICY = f"log {KEY.to_text()}\nquorum none\n"
AGREED = {
    "attributes": ["contact.email"],
    "denied": ["contact.phone"],
    "coarsenings": {"contact.email": "domain"},
    "instances": {"contact": {"which": "chosen", "records": ["r1"]}},
    "data_from": {"contact": "2026-01-01"},
}
GIVEN = {
    "manifest": {
        "asked": ["contact.email", "contact.phone"],
        "agreed": ["contact.email"],
        "delivered": ["contact.email"],
        "withheld": [{"attribute": "contact.phone", "reason": "not_agreed"}],
    },
    "records": [{"id": "r1", "collection": "contact", "data": {"email": "a@example.com"}}],
}
WROTE = {"records": [["a", 2, "b" * 64, "c" * 64]], "deleted": ["a"]}
SECONDS, MEGABYTES = 10.0, 64  # several times what it takes


def of_text(read):
    return lambda data: read(data.decode("utf-8", "surrogateescape"))


def of_json(read):
    return lambda data: read(parse(data))


def in_json(value):
    return json.dumps(value).encode()


def reconciled(answer):
    terms = reconciliation.Terms.from_document(AGREED)
    return reconciliation.mismatches(answer if isinstance(answer, dict) else {}, terms)


def compared(private):
    """Compare rows with a write and a read whose private parts are this; it is for its findings."""
    if not isinstance(private, dict):
        return
    events = [
        OpenedEvent(PublicPart(name, "2026-03-01T12:00:00Z", "v.1", seq), private)
        for seq, name in enumerate(("record.written", "vault.app_read"), start=1)
    ]
    rows = [Row("a", "contact", 2, is_deleted=True, box_sha256="b" * 64)]
    history = [VersionRow("a", 1, "c" * 64)]
    compare_rows(events, rows, history, Findings(), is_newest=True, progress=lambda _done: None)


def of_object(read):
    return of_json(lambda value: read(value if isinstance(value, dict) else {}))


PARSERS = {
    "manifest": (Manifest.from_bytes, in_json(MANIFEST)),
    "policy": (Policy.from_bytes, POLICY.encode()),
    "continuation": (
        of_text(lambda text: verify_continuation(Proof.from_text(text), log_keys=[KEY])),
        LOG.proof(1).encode(),
    ),
    "agreement": (
        of_object(lambda value: meaning.Terms.from_document(value, "agreement")),
        in_json(AGREED | {"purpose": "research", "expires_at": "2026-03-01T12:00:00Z"}),
    ),
    "terms": (of_object(reconciliation.Terms.from_document), in_json(AGREED)),
    "answer": (of_json(reconciled), in_json(GIVEN)),
    "private part": (of_json(compared), in_json(WROTE)),
    "canonical": (parse, in_json(OPENING)),
    "bundle": (Bundle.from_bytes, BUNDLE.to_bytes()),
    "note": (of_text(lambda text: open_note(text, [KEY])), NOTE.encode()),
    "checkpoint": (of_text(Checkpoint.from_text), TEXT.encode()),
    "signed checkpoint": (
        of_text(lambda text: open_checkpoint(text, log_keys=[KEY])),
        NOTE.encode(),
    ),
    "proof": (of_text(Proof.from_text), LOG.proof(1).encode()),
    "vkey": (of_text(Verifier.from_text), KEY.to_text().encode()),
    "skey": (of_text(Signer.from_text), b"PRIVATE+KEY+vault.example/log+2034f034+AA"),
    "witness vkey": (of_text(CosignatureVerifier.from_text), b"witness.example+0123abcd+BAAA"),
    "witness skey": (
        of_text(lambda text: Cosigner.from_text(text, now=lambda: 0)),
        b"PRIVATE+KEY+witness.example+0123abcd+BAAA",
    ),
    "request to a witness": (of_text(AddCheckpoint.from_text), ASKED.encode()),
    "size from a witness": (of_text(parse_size_body), b"17\n"),
    "entry bundle": (decode_bundle, encode_bundle(LOG.entries)),
    "path": (of_text(parse_path), b"tile/1/x001/234.p/17"),
    "public part": (of_json(PublicPart.from_dict), in_json(OPENING["pub"])),
    "opening": (of_json(PublicOpening.from_dict), in_json(OPENING)),
    "stream page": (of_json(StreamPage.from_dict), in_json(PAGE)),
    "receipt": (of_json(receipt.citation), in_json(LOG.receipts[0])),
    "receipt's signature": (
        of_json(lambda value: receipt.verify(value, LOG.hints().receipt_keys)),
        in_json(LOG.receipts[0]),
    ),
    "deletion receipt": (
        of_json(lambda value: deletion_receipt.verify(value, {})),
        in_json(SIGNED),
    ),
    "obligation answer": (
        of_json(lambda value: obligation_answer.verify(value, {})),
        in_json(SIGNED),
    ),
}
CLASS = re.compile(r"^class (\w+).*?:\n(.*?)(?=^\S|\Z)", re.MULTILINE | re.DOTALL)
METHOD = re.compile(r"^    def (from_(?:text|bytes|dict|document))\(cls", re.MULTILINE)
DEEP = 50_000
HOSTILE = {
    "nested arrays": b"[" * DEEP + b"]" * DEEP,
    "nested objects": b'{"a":' * DEEP,
    "a huge number": b"9" * 1_000_000,
    "a huge number in it": b'{"format":' + b"9" * 1_000_000 + b"}",
    "an exponent": b'{"format":1e999999999}',
    "a long text": b'{"format":"' + b"a" * 1_000_000 + b'"}',
    "many members": b"{" + b",".join(b'"%d":0' % number for number in range(10_000)) + b"}",
    "one key, often": b"{" + b",".join([b'"a":0'] * 10_000) + b"}",
    "many lines": b"a\n" * 100_000,
    "many signatures": NOTE.encode() + NOTE.encode().rpartition(b"\n\n")[2] * 10_000,
    "UTF-16": BUNDLE.to_bytes().decode().encode("utf-16"),
    "UTF-8 with a mark": b"\xef\xbb\xbf" + BUNDLE.to_bytes(),
    "no Unicode": b'{"format":"\xff\xfe"}',
    "half a character": b'{"format":"\\ud800"}',
    "a zero byte": b'{"format":"pds-bundle/1\x00"}',
    "compressed": gzip.compress(b"[" * 1_000_000),
    "nothing": b"",
}


def mutations(document):
    """Return a strategy for this document, changed a little in a few places."""
    place = st.integers(0, len(document))
    piece = st.binary(max_size=3) | st.sampled_from([in_json(each) for each in JUNK[:9]])
    change = st.tuples(place, st.integers(0, 40), piece)

    def changed(changes):
        data = document
        for at, removed, put in changes:
            data = data[:at] + put + data[at + removed :]
        return data

    return st.lists(change, min_size=1, max_size=3).map(changed)


# The others have their bytes changed in test_formats_codecs.
NOT_THERE = (
    "manifest",
    "policy",
    "continuation",
    "private part",
    "bundle",
    "signed checkpoint",
    "stream page",
    "witness skey",
    "receipt",
    "receipt's signature",
    "deletion receipt",
    "obligation answer",
)
OBJECTS = (
    *("bundle", "stream page", "receipt", "receipt's signature", "public part", "opening"),
    *("manifest", "agreement", "terms", "answer", "private part"),
)
PARTS = {"BundleEntry.from_dict", "ErasedEntry.from_dict"}  # of the bundle and the stream page


def test_no_parser_is_left_out():
    """Whoever adds a format adds its parser here."""
    here, found = Path(__file__).read_text("utf-8"), set()
    for file in Path(formats.__file__).parent.glob("*.py"):
        for name, body in CLASS.findall(file.read_text("utf-8")):
            found |= {f"{name}.{each}" for each in METHOD.findall(body)}

    assert {each for each in found - PARTS if each not in here} == set()
    assert len(found) > 15


@pytest.mark.parametrize("name", NOT_THERE)
@given(st.data())
def test_changed_documents_raise_the_formats_own_error_only(name, data):
    read, document = PARSERS[name]

    with suppress(FormatError):
        read(data.draw(mutations(document)))


@pytest.mark.parametrize("name", OBJECTS)
@given(st.data())
def test_members_of_other_types_raise_the_formats_own_error_only(name, data):
    """A JSON document with any one value replaced by junk."""
    read, document = PARSERS[name]
    value = json.loads(document)
    _replace(value, data.draw)

    with suppress(FormatError):
        read(in_json(value))


def _replace(value, draw):
    name = draw(st.sampled_from(sorted(value) if isinstance(value, dict) else range(len(value))))
    inner = value[name]
    if isinstance(inner, dict | list) and inner and draw(st.booleans()):
        _replace(inner, draw)
    else:
        value[name] = draw(st.sampled_from(JUNK))


@pytest.mark.parametrize("what", HOSTILE)
def test_hostile_input_ends_soon_in_little_memory(what):
    """By every parser, and by the verifier of bundles and receipts, which reports it."""
    data = HOSTILE[what]
    tracemalloc.start()
    began = time.process_time()
    try:
        for read, _ in PARSERS.values():
            with suppress(FormatError):
                read(data)
        assert verify_bundle(data, LOG.trust()).verdict == "FAILED"
        assert verify_receipt(
            LOG.receipts[0], data.decode("utf-8", "replace"), LOG.trust()
        ).failures
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    # Of the whole row of parsers, and ten times what it takes.
    assert time.process_time() - began < SECONDS * 10
    assert peak < MEGABYTES * (1 << 20)


def zip_bomb():
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("../../bundle.json", b"[" * 1_000_000)
    return made.getvalue()


@pytest.mark.parametrize(
    ("data", "rule"),
    [*((data, "malformed") for data in HOSTILE.values()), (zip_bomb(), "pack-form")],
    ids=[*HOSTILE, "a zip bomb"],
)
def test_the_command_ends_with_a_report_on_any_file(data, rule, tmp_path, capsys):
    """It never unpacks, and never writes where a name inside a file says."""
    file = tmp_path / "bundle.json"
    file.write_bytes(data)

    assert cli.main([str(file), "--vkey", KEY.to_text(), "--json"]) == 1

    report = json.loads(capsys.readouterr().out)
    assert report["verdict"] == "FAILED"
    assert [each["rule"] for each in report["failures"]] == [rule]
    assert [each.name for each in tmp_path.iterdir()] == ["bundle.json"]
