"""A report stays small, whatever an archive lacks."""

from __future__ import annotations

from uuid import uuid4

from pds.imports import archives
from pds.imports.archives import Archives


def test_files_that_are_missing_are_noted_up_to_the_limit(monkeypatch):
    monkeypatch.setattr(archives, "_MOST_NOTES", 3)
    report = {"refused": [["line", 1, "invalid", ""]] * 2, "skipped": []}
    named = [[str(uuid4()), f"{number}.pdf", 1, f"{number}"] for number in range(5)]

    assert Archives(None, None, None).copy(None, report, (), named) == ()
    assert [each[2] for each in report["refused"]] == ["invalid", "invalid", "file_not_copied"]
