"""Hostile archives of a store are refused in bounds (P-20)."""

from __future__ import annotations

import hashlib
import io
import zipfile

import pytest

from pds.errors import LimitExceededError, NotFoundError, ValidationFailedError
from pds.importing import detect, exports, parse
from pds.importing.exports import ExportArchive, Named
from pds.importing.results import Findings
from tests.support.archives import ID, archive, record

_PAPER = {"title": "A", "kind": "other"}


def test_it_is_known_by_its_first_bytes_whatever_it_is_called():
    sent = archive({})

    assert detect("photo.jpg", sent[:4096]).name == "export"
    assert detect("a.zip", b"PK\x03\x04" + bytes(300)).name == "archive"


def test_what_cannot_be_used_is_refused_line_by_line():
    lines = [
        record({"email": "a@example.com"}),
        b"not json\n",
        b"[]\n",
        record({"email": "no address"}),
        record({"email": "b@example.com", "verified": True, "shoe_size": 43}),
    ]
    members = {
        "records/contact.jsonl": b"".join(lines),
        "records/no_such_thing.jsonl": record({"a": 1}),
        "records/../../etc/passwd.jsonl": record({"a": 1}),
    }
    result = parse("export", archive(members))

    assert [each.data["email"] for each in result.candidates] == ["a@example.com", "b@example.com"]
    assert "verified" not in result.candidates[1].data
    assert [each.code for each in result.skipped] == ["properties_dropped"]
    assert sorted(each.code for each in result.refused) == [
        "entry_unreadable",
        "entry_unreadable",
        "invalid",
        "line_unreadable",
        "line_unreadable",
    ]


def test_bombs_are_refused_by_what_comes_out(monkeypatch):
    bomb = {"records/contact.jsonl": b" " * 3_000_000 + b"\n"}
    with pytest.raises(LimitExceededError):
        parse("export", archive(bomb))
    monkeypatch.setattr(exports, "MAX_RECORDS", 2)
    with pytest.raises(LimitExceededError):
        parse("export", archive({"records/contact.jsonl": record({}) * 3}))
    monkeypatch.setattr(exports, "MAX_MEMBERS", 2)
    with pytest.raises(LimitExceededError):
        parse("export", archive({"README.txt": b"", "a": b""}))


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(record([[1, 2]]), id="data is a list of pairs"),
        pytest.param(record([["email", "a@example.com"]]), id="data is an object in disguise"),
        *(
            pytest.param(
                record(_PAPER, files=[{"id": ID, "name": "a", "bytes": size, "sha256": ""}]),
                id=f"a file of {size!r} bytes",
            )
            for size in (1e300, 2**63, -1, 1.5, True, "7")
        ),
    ],
)
def test_a_line_of_other_types_is_refused_alone(line):
    """What went on from here would break as it is staged, and the rest of the archive with it."""
    good = record(_PAPER)
    result = parse("export", archive({"records/documents.jsonl": line + good}))

    assert [each.code for each in result.refused] == ["line_unreadable"]
    assert [each.data["title"] for each in result.candidates] == ["A"]


def test_a_record_is_validated_once(monkeypatch):
    offered, offer = [], Findings.offer
    monkeypatch.setattr(Findings, "offer", lambda *given: offered.append(1) or offer(*given))

    result = parse("export", archive({"records/contact.jsonl": record({"email": "a@a.example"})}))

    assert (len(result.candidates), len(offered)) == (1, 1)


def test_a_directory_of_any_size_is_not_read():
    """P-20: `zipfile` reads it whole, before anybody can count what it lists."""
    out = io.BytesIO(archive({}))
    with zipfile.ZipFile(out, "a") as target:
        for number in range(300):
            member = zipfile.ZipInfo(f"{number}")
            member.comment = bytes(60_000)
            target.writestr(member, b"")

    with pytest.raises(LimitExceededError):
        ExportArchive(out)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"PK\x03\x04", id="cut off"),
        pytest.param(archive({}, fmt="pds-export/2"), id="of another version"),
        pytest.param(
            archive({"records/contact.jsonl": b""}, hashes={"records/contact.jsonl": "0"}),
            id="not as its manifest says",
        ),
    ],
)
def test_what_is_no_archive_or_was_changed_is_refused_whole(content):
    with pytest.raises(ValidationFailedError):
        parse("export", content)


def test_a_file_is_read_no_further_than_its_record_says():
    sent = ExportArchive(io.BytesIO(archive({f"files/{ID}/a.bin": bytes(5_000_000)})))
    digest = hashlib.sha256(bytes(5_000_000)).hexdigest()
    got = []

    with pytest.raises(NotFoundError):
        got.extend(sent.file(Named(ID, "a.bin", 10, digest)))
    assert sum(map(len, got)) <= 11
    whole = b"".join(sent.file(Named(ID, "a.bin", 5_000_000, digest)))
    assert len(whole) == 5_000_000
    with pytest.raises(NotFoundError):
        list(sent.file(Named(ID, "a.bin", 5_000_000, "0" * 64)))
    with pytest.raises(NotFoundError):
        list(sent.file(Named("6f1ab2c3-0000-4000-8000-000000000002", "a", 1, digest)))


def test_a_file_is_read_without_the_manifest():
    """It is checked against its record: a manifest would be parsed anew for each."""
    sent = ExportArchive(io.BytesIO(archive({f"files/{ID}/a.bin": b"a"}, fmt="pds-export/2")))

    digest = hashlib.sha256(b"a").hexdigest()
    assert list(sent.file(Named(ID, "a.bin", 1, digest))) == [b"a"]
    with pytest.raises(ValidationFailedError):
        list(sent.lines())
