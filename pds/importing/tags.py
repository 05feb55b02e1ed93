"""The tag trees of OFX 1 (SGML, values without closing tags) and OFX 2 (XML).

One reader for both, because banks mix them: XML headers over SGML bodies, closing tags here and
not there. ofxparse 0.21 lower-cases currencies, moves dates over midnight into UTC and leans on a
general HTML parser. There are no entities but the five of XML, the non-breaking space and numeric
ones: a document type declaration is refused, so none can be defined. Time and memory grow with the
file linearly.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from pds.errors import LimitExceededError
from pds.importing.results import MAX_DEPTH, unusable_file

MAX_TAGS = 1_500_000

# What nearly all of a file is: text without entities, then a tag of a name and nothing else.
_PLAIN = re.compile(r"([^<&]*)<(/?)([A-Za-z][A-Za-z0-9.]*)>")
_ENTITY = re.compile(r"&(#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|lt|gt|amp|quot|apos|nbsp);")
_NAMED = {"lt": "<", "gt": ">", "amp": "&", "quot": '"', "apos": "'", "nbsp": " "}
_LARGEST_CODE_POINT = 0x10FFFF
_SURROGATES = range(0xD800, 0xE000)


@dataclass(slots=True)
class Element:
    """A tag with the pieces of its text and what is inside it; names are in capitals."""

    name: str
    pieces: list[str] = field(default_factory=list)
    children: list[Element] = field(default_factory=list)

    def find(self, *path: str) -> Element | None:
        """Return the first element along `path`, or None."""
        found = self
        for name in path:
            for child in found.children:
                if child.name == name:
                    found = child
                    break
            else:
                return None
        return found

    def value(self, *path: str) -> str:
        """Return the text of the first element along `path`, stripped, or an empty one."""
        found = self.find(*path)
        return "" if found is None else " ".join("".join(found.pieces).split())

    def walk(self) -> Iterator[Element]:
        """Yield this element and all inside it, in document order."""
        waiting = [self]
        while waiting:
            element = waiting.pop()
            yield element
            waiting.extend(reversed(element.children))


def read_tags(text: str) -> Element:
    """Return the root of a document; its text begins with its first tag.

    Raises:
        ValidationFailedError: it ends inside a tag or before its root is closed, or declares a
            document type.
        LimitExceededError: it is nested too deep or holds too many tags.
    """
    if text.count("<") > MAX_TAGS:
        raise LimitExceededError(f"more than {MAX_TAGS} tags in one file")
    document = Element("")
    stack = [document]
    for kind, content in _tokens(text):
        if kind == "text":
            # Blank text is layout; kept, it would make every aggregate look like a value.
            if len(stack) > 1 and content.strip():
                stack[-1].pieces.append(content)
        elif kind == "close":
            _close(stack, content)
        else:
            # A value needs no closing tag: the next tag ends it.
            if stack[-1].pieces:
                stack.pop()
            opened = Element(content)
            stack[-1].children.append(opened)
            if kind == "open":
                stack.append(opened)
            if len(stack) > MAX_DEPTH:
                raise LimitExceededError(f"tags nested more than {MAX_DEPTH} deep")
    if len(stack) > 1 or len(document.children) != 1:
        raise unusable_file("truncated")
    return document.children[0]


def _close(stack: list[Element], name: str) -> None:
    """Close the nearest open `name`; what was left open inside it held nothing."""
    if all(element.name != name for element in stack[1:]):
        return
    while stack[-1].name != name:
        empty = stack.pop()
        if not empty.pieces:
            # `<MEMO>` without a value swallowed its successors: they are its siblings.
            stack[-1].children.extend(empty.children)
            empty.children = []
    stack.pop()


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    """Yield `(kind, content)`: text, or an open, a close or an empty tag."""
    at, plain = 0, _PLAIN.match
    while True:
        if match := plain(text, at):
            content, closing, name = match.groups()
            if content:
                yield "text", content
            yield "close" if closing else "open", name.upper()  # ascii
            at = match.end()
            continue
        start = text.find("<", at)
        if start < 0:
            yield "text", _unescape(text[at:])
            return
        if start > at:
            yield "text", _unescape(text[at:start])
        if text.startswith("<![CDATA[", start):
            end = _end(text, "]]>", start)
            yield "text", text[start + 9 : end - 3]
        elif text.startswith("<!--", start):
            end = _end(text, "-->", start)
        elif text.startswith("<!", start):
            raise unusable_file("forbidden_declaration")
        else:
            end = _end(text, ">", start)
            token = _tag(text[start + 1 : end - 1])
            if token is not None:
                yield token
        at = end


def _end(text: str, mark: str, start: int) -> int:
    """Return the index after the next `mark`, or refuse the file as cut short."""
    found = text.find(mark, start)
    if found < 0:
        raise unusable_file("truncated")
    return found + len(mark)


def _tag(inside: str) -> tuple[str, str] | None:
    if inside.startswith("?"):
        return None
    closing, empty = inside.startswith("/"), inside.endswith("/")
    name = inside.strip("/").split(maxsplit=1)
    if not name:
        raise unusable_file("damaged")
    kind = "close" if closing else "empty" if empty else "open"
    return kind, name[0].upper()  # ascii


def _unescape(text: str) -> str:
    return _ENTITY.sub(_character, text) if "&" in text else text


def _character(match: re.Match[str]) -> str:
    entity = match[1]
    if not entity.startswith("#"):
        return _NAMED[entity]
    digits = entity[1:]
    code = int(f"0{digits}", 16) if digits[0] in "xX" else int(digits)
    # A surrogate is no character: no text that holds one can be encoded again.
    is_character = code <= _LARGEST_CODE_POINT and code not in _SURROGATES
    return chr(code) if is_character else match[0]
