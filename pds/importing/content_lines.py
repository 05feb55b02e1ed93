"""Content lines of vCard 2.1 to 4.0: `[group.]NAME[;PARAM=value]:value` (RFC 6350 section 3.3).

A reader of our own, because the libraries fail on what address books really export: vobject 0.9.9
gives up the whole file at one odd photo, ignores the CHARSET of a single property (vCard 2.1) and
loses nested cards. This one works on bytes, since lines may be folded inside a character and one
file may hold several encodings, and it passes over what it cannot read, saying so.
"""

from __future__ import annotations

import binascii
import quopri
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pds.errors import LimitExceededError
from pds.importing.charsets import decode, without_bom

MAX_LINES = 1_000_000
MAX_HEADER_BYTES = 2_000

_NAME = re.compile(r"(?:([A-Za-z0-9_-]+)\.)?([A-Za-z0-9_-]+)\Z")
_BASE64_LINE = re.compile(rb"[A-Za-z0-9+/=\t ]+\Z")
_BARE_ENCODINGS = frozenset({"QUOTED-PRINTABLE", "BASE64", "8BIT", "7BIT", "B"})
_ESCAPES = {"n": "\n", "N": "\n"}


@dataclass(frozen=True, slots=True)
class ContentLine:
    """One logical line: names in capitals, parameters by name, the value decoded but escaped.

    `value` is None where its encoding is broken. `guessed` marks a guessed character set.
    """

    number: int
    group: str
    name: str
    params: Mapping[str, tuple[str, ...]]
    value: str | None
    version: str
    guessed: bool = False

    @property
    def types(self) -> frozenset[str]:
        """The TYPE values, in small letters; vCard 2.1 writes them without `TYPE=`."""
        return frozenset(value.lower() for value in self.params.get("TYPE", ()))  # ascii

    def text(self) -> str:
        """Return the value without escapes."""
        return _unescape(self.value or "", self.version)

    def parts(self, separator: str = ";") -> list[str]:
        """Return the value cut at each separator that is not escaped, without escapes."""
        cut = re.split(rf"(?<!\\){separator}", (self.value or "").replace("\\\\", "\0"))
        return [_unescape(part.replace("\0", "\\\\"), self.version).strip() for part in cut]


@dataclass(frozen=True, slots=True)
class UnreadableLine:
    """A line that is no content line."""

    number: int


def read_content_lines(data: bytes) -> Iterator[ContentLine | UnreadableLine]:
    """Yield the logical lines of a file; blank ones are left out.

    Raises:
        LimitExceededError: more than `MAX_LINES` lines.
    """
    raw = without_bom(data)
    unified = raw.replace(b"\r\r\n", b"\n").replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    if unified.count(b"\n") > MAX_LINES:
        raise LimitExceededError(f"more than {MAX_LINES} lines in one file")
    version = ""
    for number, logical in _logical_lines(unified.split(b"\n")):
        line = _parse(number, logical, version)
        if isinstance(line, ContentLine):
            if line.name == "BEGIN":
                version = ""
            elif line.name == "VERSION":
                version = line.text().strip()
        yield line


def _logical_lines(lines: list[bytes]) -> Iterator[tuple[int, bytes]]:
    """Join folded lines, quoted-printable soft breaks and base64 blocks; number from 1."""
    at = 0
    version_2_1 = False
    while at < len(lines):
        start, parts = at, [lines[at]]
        at += 1
        head = parts[0].partition(b":")[0].upper()  # ascii
        if head == b"VERSION":
            version_2_1 = parts[0].endswith(b"2.1")
        quoted = b"QUOTED-PRINTABLE" in head
        block = b"BASE64" in head or b"ENCODING=B" in head
        while at < len(lines):
            if quoted and parts[-1].endswith(b"=") and not _is_end(lines[at]):
                parts[-1] = parts[-1][:-1]
                parts.append(lines[at])
            elif lines[at][:1] in (b" ", b"\t"):
                # vCard 2.1 folds at a space that belongs to the text, 3.0 and 4.0 add one.
                parts.append(lines[at] if version_2_1 else lines[at][1:])
            elif block and _BASE64_LINE.match(lines[at]):
                parts.append(lines[at])
            elif parts[0].strip() and _goes_on_below(lines, at):
                pass
            else:
                break
            at += 1
        joined = b"".join(parts)
        if joined.strip():
            yield start + 1, joined


def _goes_on_below(lines: list[bytes], at: int) -> bool:
    """Tell whether a folded line goes on behind an empty one, as old Mozilla calendars have it."""
    return (
        not lines[at].strip()
        and lines[at + 1 : at + 2] != []
        and lines[at + 1][:1]
        in (
            b" ",
            b"\t",
        )
    )


def _is_end(line: bytes) -> bool:
    return line.strip().upper() == b"END:VCARD"  # ascii


def _parse(number: int, line: bytes, version: str) -> ContentLine | UnreadableLine:
    colon = _colon(line)
    # No program writes a header this long; one of megabytes would take hours to take apart.
    if not 0 < colon <= MAX_HEADER_BYTES:
        return UnreadableLine(number)
    header = line[:colon].decode("ascii", "replace")
    name, *written = _split_quoted(header)
    match = _NAME.match(name.strip())
    if match is None:
        return UnreadableLine(number)
    params = _params(written)
    value, guessed = _decoded(line[colon + 1 :], params)
    return ContentLine(
        number=number,
        group=(match[1] or "").lower(),  # ascii
        name=match[2].upper(),  # ascii
        params=params,
        value=value,
        version=version,
        guessed=guessed,
    )


def _colon(line: bytes) -> int:
    """Return where the value begins: the first colon that no quotes enclose, or -1."""
    first = line.find(b":")
    if line.find(b'"', 0, first) < 0:
        return first
    quoted = False
    for at, byte in enumerate(line):
        if byte == ord('"'):
            quoted = not quoted
        elif byte == ord(":") and not quoted:
            return at
    return first


def _split_quoted(header: str) -> list[str]:
    if '"' not in header:
        return header.split(";")
    return re.findall(r'(?:[^;"]|"[^"]*"?)+', header)


def _params(written: list[str]) -> dict[str, tuple[str, ...]]:
    params: dict[str, tuple[str, ...]] = {}
    for param in written:
        key, equals, value = param.partition("=")
        if not equals:
            bare = key.strip().upper()  # ascii
            key, value = ("ENCODING" if bare in _BARE_ENCODINGS else "TYPE"), bare
        name = key.strip().upper()  # ascii
        values = tuple(each.strip().strip('"') for each in value.strip().strip('"').split(","))
        params[name] = params.get(name, ()) + values
    return params


def _decoded(value: bytes, params: Mapping[str, tuple[str, ...]]) -> tuple[str | None, bool]:
    encoding = params.get("ENCODING", ("",))[0].upper()  # ascii
    if encoding == "QUOTED-PRINTABLE":
        value = quopri.decodestring(value)
    elif encoding in ("BASE64", "B"):
        try:
            value = binascii.a2b_base64(value)
        except binascii.Error:
            return None, False
    return decode(value, params.get("CHARSET", (None,))[0])


def _unescape(text: str, version: str) -> str:
    if "\\" not in text:
        return text
    # vCard 2.1 escapes the semicolon alone; a backslash elsewhere is a backslash.
    pattern = r"\\([;:,])" if version == "2.1" else r"\\(.)"
    return re.sub(pattern, lambda match: _ESCAPES.get(match[1], match[1]), text, flags=re.DOTALL)
