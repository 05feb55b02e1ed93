"""A zip that goes out as it is made is one that others read, however long it becomes."""

from __future__ import annotations

import io
import zipfile
from datetime import UTC, datetime

from pds.exporting import MEDIA_TYPE
from pds.exporting.zipping import Member, zipped
from pds.importing import detect

AT = datetime(2026, 11, 27, tzinfo=UTC)


def test_a_file_may_be_longer_than_a_plain_zip_has_room_for(monkeypatch):
    """At two GiB in earnest."""
    monkeypatch.setattr(zipfile, "ZIP64_LIMIT", 1_000)
    members = [
        Member("mimetype", [MEDIA_TYPE.encode()], is_packed=False),
        Member("files/1/a.bin", [bytes(700)] * 3, is_packed=False),
        Member("records/documents.jsonl", [b"{}\n"] * 700),
    ]

    sent = b"".join(zipped(members, {"format": "x"}, at=AT))
    monkeypatch.undo()

    assert detect("a.zip", sent[:4096]).name == "export"
    with zipfile.ZipFile(io.BytesIO(sent)) as archive:
        assert archive.testzip() is None
        assert archive.read("files/1/a.bin") == bytes(2_100)
        assert archive.read("records/documents.jsonl") == b"{}\n" * 700
