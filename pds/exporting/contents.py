"""What of a vault goes into its archive: records, their history and their files."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import orjson

from pds.attached_files import AttachedFile
from pds.attachments import AttachmentService
from pds.catalogue import CATALOGUE, Collection
from pds.clock import rfc3339
from pds.errors import NotFoundError
from pds.exporting import writers
from pds.exporting.writers import Row
from pds.exporting.zipping import Member
from pds.record_boxes import Author, Source, Superseded
from pds.records import Opened, RecordService


@dataclass(slots=True)
class Contents:
    """One vault on its way out; `counts` fills as it is read, for the manifest."""

    records: RecordService
    attachments: AttachmentService
    locale: str
    counts: dict[str, int] = field(default_factory=dict)

    def members(self) -> Iterator[Member]:
        """Yield the files of the archive."""
        held = {name for name, count in self.records.counts().items() if count}
        kinds = [kind for name, kind in CATALOGUE.collections.items() if name in held]
        for kind in kinds:
            schema = orjson.dumps(kind.schema(), option=orjson.OPT_INDENT_2)
            yield Member(f"schemas/{kind.name}.json", [schema])
        attached: list[AttachedFile] = []
        for kind in kinds:
            yield Member(f"records/{kind.name}.jsonl", self._lines(kind, attached))
        yield Member("history/versions.jsonl", self._history())
        yield from self._files(attached)
        for kind in kinds:
            yield Member(f"tables/{kind.name}.csv", writers.table(self._rows(kind), kind))
        for kind in kinds:
            yield from self._elsewhere(kind)

    def _lines(self, kind: Collection, attached: list[AttachedFile]) -> Iterator[bytes]:
        self.counts[kind.name] = 0
        for record in self.records.each(kind.name):
            self.counts[kind.name] += 1
            attached += record.files
            yield orjson.dumps(_line(record)) + b"\n"

    def _history(self) -> Iterator[bytes]:
        for record_id, version in self.records.each_superseded():
            written = {"record": str(record_id), **_version(version)}
            yield orjson.dumps(written) + b"\n"

    def _files(self, attached: list[AttachedFile]) -> Iterator[Member]:
        for named in attached:
            try:
                opened = self.attachments.opened(named)
            except NotFoundError:
                continue  # removed since its record's line went out, which still names it
            # Photos and most documents are packed already.
            yield Member(f"files/{named.id}/{named.name}", opened.chunks(), is_packed=False)

    def _elsewhere(self, kind: Collection) -> Iterator[Member]:
        ways: dict[str, tuple[str, Callable[[Iterator[Row]], Iterator[bytes]]]] = {
            "address_book": ("contacts/address_book.vcf", writers.vcards),
            "life_events": (
                "calendar/life_events.ics",
                lambda rows: writers.calendar(rows, kind, self.locale),
            ),
            "bookmarks": ("bookmarks/bookmarks.html", writers.bookmarks),
        }
        if kind.name in ways:
            path, write = ways[kind.name]
            yield Member(path, write(self._rows(kind)))

    def _rows(self, kind: Collection) -> Iterator[Row]:
        return ((each.id, each.changed_at, each.data) for each in self.records.each(kind.name))


def _line(record: Opened) -> dict[str, object]:
    line: dict[str, object] = {
        "id": str(record.id),
        "version": record.version,
        "changed_at": rfc3339(record.changed_at),
        "author": _author(record.author),
        "data": record.data,
    }
    if record.source:
        line["source"] = _source(record.source)
    if record.files:
        line["files"] = [each.written() for each in record.files]
    return line


def _version(version: Superseded) -> dict[str, object]:
    line: dict[str, object] = {
        "version": version.version,
        "changed_at": rfc3339(version.changed_at),
        "author": _author(version.author) if version.author else None,
        "data": version.data,
    }
    if version.source:
        line["source"] = _source(version.source)
    return line


def _author(author: Author) -> dict[str, str]:
    return {"kind": author.kind} | ({"client": str(author.id)} if author.id else {})


def _source(source: Source) -> dict[str, str | None]:
    return {
        "kind": source.kind,
        "name": source.name,
        "import": str(source.id) if source.id else None,
    }
