"""Hostile archives of a store are refused in bounds (P-20)."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile

import pytest

from pds.errors import LimitExceededError, NotFoundError, ValidationFailedError
from pds.exporting import FORMAT, MEDIA_TYPE
from pds.importing import detect, exports, parse
from pds.importing.exports import ExportArchive, Named

ID = "6f1ab2c3-0000-4000-8000-000000000001"


def archive(members, *, fmt=FORMAT, hashes=None):
    """Return an archive with a manifest that is true of its members, unless `hashes` says else."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as target:
        target.writestr(zipfile.ZipInfo("mimetype"), MEDIA_TYPE)
        for path, content in members.items():
            target.writestr(path, content)
        files = [
            {"path": path, "sha256": (hashes or {}).get(path, hashlib.sha256(content).hexdigest())}
            for path, content in members.items()
        ]
        target.writestr("manifest.json", json.dumps({"format": fmt, "files": files}))
    return out.getvalue()


def record(data, **more):
    return json.dumps({"id": ID, "data": data, **more}).encode() + b"\n"


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
