"""Netscape bookmark files, as every browser exports them, and Pocket's export page.

A tokeniser of our own, linear in the size of the file: the format has no grammar (tags are left
open, folders stand outside lists), and general HTML parsers build trees from it that differ, nest
as deep as the file likes and forget lines. Nothing of a file is rendered, fetched or run.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from pds.errors import LimitExceededError
from pds.importing.charsets import decode, without_bom
from pds.importing.dates import instant_of_digits
from pds.importing.results import MAX_DEPTH, Findings, ImportResult, Position, unusable_file

FORMAT = "bookmarks"

_TAG = re.compile(r"<(/?)([A-Za-z][A-Za-z0-9]*+)((?:[^<>\"']++|\"[^\"<]*+\"|'[^'<]*+')*+)>")
_LOOSE_TAG = re.compile(r"<(/?)([A-Za-z][A-Za-z0-9]*+)([^<>]*+)>")
_ATTRIBUTE = re.compile(
    r"(?<![\w-])([A-Za-z_][\w-]*+)\s*+=\s*+(?:\"([^\"]*+)\"|'([^']*+)'|([^\s\"'>]++))"
)
_CHARSET = re.compile(rb"charset=[\"']?\s*([A-Za-z0-9_-]+)", re.IGNORECASE)
_HEAD_BYTES = 2_000
_MARKS = ("<!doctype netscape-bookmark-file", "<dl", "<title>pocket export")


@dataclass(slots=True)
class _Link:
    """A bookmark while it is read."""

    position: Position
    folder: str
    attributes: dict[str, str]
    title: list[str] = field(default_factory=list)
    description: list[str] = field(default_factory=list)


def read_bookmarks(data: bytes) -> ImportResult:
    """Read a bookmark file.

    Raises:
        ValidationFailedError: it is no bookmark file.
        LimitExceededError: folders are nested too deep, or it holds too much.
    """
    raw = without_bom(data)
    declared = _CHARSET.search(raw[:_HEAD_BYTES])
    text, guessed = decode(raw, declared[1].decode("ascii") if declared else None)
    if not any(mark in text[: 2 * _HEAD_BYTES].lower() for mark in _MARKS):  # ascii
        raise unusable_file("not_this_format", FORMAT)
    findings = Findings()
    if guessed:
        findings.skip(Position("line", 1), "charset_guessed", FORMAT)
    reader = _Reader(findings)
    for line, kind, name, content in _tokens(text, findings):
        reader.take(line, kind, name, content)
    reader.end()
    return findings.result()


class _Reader:
    """Follows folders and links; whatever is between a link and the next belongs to it."""

    def __init__(self, findings: Findings) -> None:
        self._findings = findings
        self._folders: list[str] = []  # one for each open list; the outermost has no name
        self._heading: list[str] | None = None
        self._next_folder = ""
        self._link: _Link | None = None
        self._part = ""  # where text belongs: a title, a heading, a description

    def take(self, line: int, kind: str, name: str, content: str) -> None:
        if kind == "text":
            self._text(content)
        elif name == "a":
            if kind == "open":
                self._open_link(line, content)
            elif self._part == "title":
                self._part = ""
        elif name in ("h1", "h2", "h3"):
            self._heading_tag(name, is_open=kind == "open")
        elif name == "dl":
            self._list_tag(is_open=kind == "open")
        elif kind == "open" and name == "dd":
            self._part = "description" if self._link else ""
        elif kind == "open" and name in ("dt", "hr", "li"):
            self._finish_link()
        elif name == "br" and self._part == "description" and self._link:
            self._link.description.append("\n")

    def end(self) -> None:
        self._finish_link()

    def _text(self, content: str) -> None:
        if self._part == "title" and self._link:
            self._link.title.append(content)
        elif self._part == "description" and self._link:
            self._link.description.append(content)
        elif self._part == "heading" and self._heading is not None:
            self._heading.append(content)

    def _open_link(self, line: int, attributes: str) -> None:
        self._finish_link()
        folder = "/".join(name for name in self._folders if name)
        self._link = _Link(Position("line", line), folder, _attributes(attributes))
        self._part = "title"

    def _heading_tag(self, name: str, *, is_open: bool) -> None:
        if is_open:
            self._finish_link()
            self._heading, self._part = [], "heading"
        elif self._heading is not None:
            # Pocket's page has an H1 over its lists: only an H3 names a folder.
            written = " ".join("".join(self._heading).split())
            self._next_folder = written if name == "h3" else ""
            self._heading, self._part = None, ""

    def _list_tag(self, *, is_open: bool) -> None:
        self._finish_link()
        if is_open:
            if len(self._folders) >= MAX_DEPTH:
                raise LimitExceededError(f"folders nested more than {MAX_DEPTH} deep")
            self._folders.append(self._next_folder)
            self._next_folder = ""
        elif self._folders:
            self._folders.pop()

    def _finish_link(self) -> None:
        link, self._link, self._part = self._link, None, ""
        if link is not None:
            _offer(link, self._findings)


def _offer(link: _Link, findings: Findings) -> None:
    url = link.attributes.get("href", "").strip()
    title = "".join(link.title)
    scheme = url.partition(":")[0].lower()  # ascii
    if scheme not in ("http", "https"):
        # A `place:` is a search of Firefox's own, `javascript:` would run in the owner's session
        # when followed, and a relative address belongs to a site that the file does not name.
        findings.refuse(link.position, "address_unusable", url[:80])
        return
    written = link.attributes.get("add_date") or link.attributes.get("time_added") or ""
    added = instant_of_digits(written)
    if written and added is None:
        findings.skip(link.position, "date_invalid", written[:40])
    tags = [tag.strip() for tag in link.attributes.get("tags", "").split(",")]
    bookmark = {
        "url": url,
        "title": title,
        "folder": link.folder,
        "tags": list(dict.fromkeys(tag for tag in tags if tag)),
        "description": "".join(link.description),
        "added_at": added,
    }
    findings.offer("bookmarks", bookmark, link.position)


def _attributes(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for match in _ATTRIBUTE.finditer(text):
        name = match[1].lower()  # ascii
        if name != "icon":
            found.setdefault(name, html.unescape(match[2] or match[3] or match[4] or ""))
    return found


def _tokens(text: str, findings: Findings) -> Iterator[tuple[int, str, str, str]]:
    """Yield `(line, kind, name, content)`: text, or an open or a close tag."""
    at, line = 0, 1
    while at < len(text):
        start = text.find("<", at)
        if start < 0:
            start = len(text)
        if start > at:
            yield line, "text", "", html.unescape(text[at:start])
            line += text.count("\n", at, start)
        if start == len(text):
            return
        match = _TAG.match(text, start) or _LOOSE_TAG.match(text, start)
        if text.startswith("<!--", start):
            end = text.find("-->", start)
            # An open comment hides all that follows, in a browser as well.
            at = len(text) if end < 0 else end + 3
            if end < 0:
                findings.skip(Position("line", line), "comment_unclosed")
        elif match is not None:
            yield line, "close" if match[1] else "open", match[2].lower(), match[3]  # ascii
            at = match.end()
        elif text.startswith(("<!", "<?"), start):
            end = text.find(">", start)
            at = len(text) if end < 0 else end + 1
        else:
            yield line, "text", "", "<"
            at = start + 1
        line += text.count("\n", start, at)
