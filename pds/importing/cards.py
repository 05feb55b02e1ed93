"""One vCard: its properties, and what the catalogue can make of them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from pds.importing import dates
from pds.importing.content_lines import ContentLine
from pds.importing.results import Findings, Position

_TECHNICAL = frozenset(
    {"BEGIN", "END", "VERSION", "PRODID", "REV", "UID", "KIND", "X-ABADR", "X-ABLABEL"}
)
_BINARY = ("PHOTO", "LOGO", "SOUND", "KEY")
_LABELS = (
    # What a number is for matters more than where it rings.
    (frozenset({"fax"}), "fax"),
    (frozenset({"cell", "mobile"}), "mobile"),
    (frozenset({"home"}), "home"),
    (frozenset({"work"}), "work"),
)
_FULL_DATE = re.compile(r"(\d{4})-?(\d{2})-?(\d{2})(?:T.*)?\Z")
_YEARLESS_DATE = re.compile(r"--\d{2}-?\d{2}")
_NAMES_IN_A_NOTE = 10
MAX_CARD_LINES = 1_000
_APPLE_LABEL = re.compile(r"_\$!<(.*)>!\$_\Z")


@dataclass(frozen=True, slots=True)
class PersonName:
    """The components of an N property, each possibly empty."""

    family: str = ""
    given: str = ""
    additional: str = ""
    prefix: str = ""
    suffix: str = ""

    def full(self) -> str:
        """Return the components in the order they are spoken."""
        parts = (self.prefix, self.given, self.additional, self.family, self.suffix)
        return " ".join(part for part in parts if part)


@dataclass(frozen=True, slots=True)
class Reachable:
    """A phone number or e-mail address as written; `label` is one of the catalogue's codes."""

    value: str
    label: str | None
    preferred: bool
    position: Position


@dataclass(frozen=True, slots=True)
class PostalAddress:
    """The components of an ADR property, each possibly empty."""

    street: str
    locality: str
    region: str
    postal_code: str
    country: str
    label: str | None
    preferred: bool
    position: Position

    def formatted(self) -> str:
        """Return the address on one line."""
        parts = (self.street, self.locality, self.region, self.postal_code, self.country)
        lines = (line.strip(" ,") for part in parts for line in part.splitlines())
        return ", ".join(line for line in lines if line)


@dataclass(slots=True)
class Card:
    """The properties of one card, and which of them have been taken."""

    position: Position
    lines: list[ContentLine] = field(default_factory=list)
    size: int = 0
    _taken: set[str] = field(default_factory=set)
    _apple_labels: dict[str, str] = field(default_factory=dict)

    def add(self, line: ContentLine) -> None:
        """Add a property; beyond `MAX_CARD_LINES` only their number is kept.

        Else a single card could hold a million phone numbers, each to be parsed.
        """
        self.size += 1
        if self.size <= MAX_CARD_LINES:
            self.lines.append(line)
        if line.group and line.name == "X-ABLABEL" and self.size <= MAX_CARD_LINES:
            match = _APPLE_LABEL.match(line.text())
            self._apple_labels[line.group] = match[1] if match else line.text()

    @property
    def is_too_long(self) -> bool:
        """Whether properties had to be left out."""
        return self.size > MAX_CARD_LINES

    def take(self, name: str, findings: Findings) -> Iterator[ContentLine]:
        """Yield the readable, non-empty properties of one name; of alternatives the first."""
        self._taken.add(name)
        alternatives: set[str] = set()
        for line in self.lines:
            if line.name != name:
                continue
            position = Position("line", line.number)
            if line.value is None:
                findings.skip(position, "value_unusable", name)
            elif line.value.strip(" ;\n"):
                if line.guessed:
                    findings.skip(position, "charset_guessed", name)
                # RFC 6350 section 5.4: lines of one ALTID say the same thing in other words.
                key = "".join(line.params.get("ALTID", ()))
                if not key or key not in alternatives:
                    yield line
                alternatives.add(key)

    def texts(self, name: str, findings: Findings) -> list[str]:
        """Return the different texts of one name."""
        found = (line.text().strip() for line in self.take(name, findings))
        return list(dict.fromkeys(text for text in found if text))

    def components(self, name: str, findings: Findings, separator: str) -> list[str]:
        """Return the different components of all properties of one name."""
        found = (part for line in self.take(name, findings) for part in line.parts(separator))
        return list(dict.fromkeys(part for part in found if part))

    def person_name(self, findings: Findings) -> PersonName:
        """Return the first N property, or empty components."""
        for line in self.take("N", findings):
            # A component may hold several names, separated by commas.
            parts = [" ".join(part.replace(",", " ").split()) for part in line.parts()]
            return PersonName(*parts[:5])
        return PersonName()

    def reachable(self, name: str, findings: Findings) -> list[Reachable]:
        """Return the TEL or EMAIL properties."""
        found: dict[tuple[str, str | None], Reachable] = {}
        for line in self.take(name, findings):
            value = line.text().strip()
            # RFC 6350 sections 6.4.1 and 6.4.2: version 4.0 may write them as URIs.
            for scheme in ("tel:", "mailto:"):
                value = value.removeprefix(scheme)
            each = Reachable(
                value, self._label(line), _preferred(line), Position("line", line.number)
            )
            found.setdefault((each.value, each.label), each)
        return list(found.values())

    def addresses(self, findings: Findings) -> list[PostalAddress]:
        """Return the ADR properties; without any, the LABEL properties of vCard 2.1 and 3.0."""
        found = [self._address(line, line.parts()) for line in self.take("ADR", findings)]
        written = list(self.take("LABEL", findings))
        if found:
            return found
        return [self._address(line, ["", "", line.text().strip()]) for line in written]

    def date(self, names: tuple[str, ...], findings: Findings) -> str | None:
        """Return the first whole date among the properties, as ISO 8601."""
        for name in names:
            self._taken.add(name)
        # Alternatives are all tried here: one may be a date where another is mere text.
        for line in self.lines:
            if line.name not in names or not (line.value or "").strip():
                continue
            text = line.text().strip()
            written = dates.by_groups(_FULL_DATE, text)
            if written is not None:
                return written
            code = "date_without_year" if _YEARLESS_DATE.match(text) else "value_unusable"
            findings.skip(Position("line", line.number), code, line.name)
        return None

    def labelled_date(self, label: str, findings: Findings) -> str | None:
        """Return the date of an Apple property with this label, such as `Anniversary`."""
        lines = [line for line in self.lines if line.name == "X-ABDATE"]
        for line in lines:
            if self._apple_label(line) == label:
                self._taken.add("X-ABDATE")
                written = dates.by_groups(_FULL_DATE, line.text().strip())
                if written is not None:
                    return written
                findings.skip(Position("line", line.number), "value_unusable", line.name)
        return None

    def note_leftovers(self, findings: Findings) -> None:
        """Note every property that nothing has taken."""
        self._taken.update(_TECHNICAL)
        for name in _BINARY:
            for line in self.lines:
                if line.name == name:
                    findings.skip(Position("line", line.number), "binary_dropped", name)
            self._taken.add(name)
        unread = (line for line in self.lines if line.name not in self._taken)
        left = list(dict.fromkeys(line.name for line in unread if line.value != ""))
        if left:
            more = f" (+{len(left) - _NAMES_IN_A_NOTE})" if len(left) > _NAMES_IN_A_NOTE else ""
            names = ", ".join(left[:_NAMES_IN_A_NOTE])
            findings.skip(self.position, "properties_dropped", names + more)

    def _address(self, line: ContentLine, parts: list[str]) -> PostalAddress:
        box, extended, street, locality, region, code, country = (parts + [""] * 7)[:7]
        return PostalAddress(
            street=", ".join(part.strip(" ,") for part in (box, extended, street) if part),
            locality=locality,
            region=region,
            postal_code=code,
            country=country,
            label=self._label(line, known=("home", "work")),
            preferred=_preferred(line),
            position=Position("line", line.number),
        )

    def _label(
        self, line: ContentLine, *, known: tuple[str, ...] = ("fax", "mobile", "home", "work")
    ) -> str | None:
        for types, label in _LABELS:
            if label in known and types & line.types:
                return label
        return "other" if self._apple_label(line) else None

    def _apple_label(self, line: ContentLine) -> str | None:
        return self._apple_labels.get(line.group)


def _preferred(line: ContentLine) -> bool:
    return "pref" in line.types or line.params.get("PREF") == ("1",)
