"""What an import yields: candidates, and notes on whatever was not taken over.

Nothing of a file disappears without a note. Notes may quote the file, so a report is as personal
as the file itself and is sealed with it (P-20).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pds.catalogue import CATALOGUE
from pds.errors import Issue, LimitExceededError, NotFoundError, ValidationFailedError
from pds.importing.words import WORDS

MAX_FILE_BYTES = 20_000_000
MAX_ITEMS = 150_000
MAX_DEPTH = 40


@dataclass(frozen=True, slots=True)
class Position:
    """Where in a file something stands: a unit such as `line` or `transaction`, from 1.

    `file` is the file inside an archive that it is in, as words to show.
    """

    unit: str
    number: int
    file: str = ""

    def text(self, locale: str | None) -> str:
        """Return the position in the reader's words."""
        place = WORDS["units"][self.unit].text(locale).format(number=self.number)
        return f"{self.file}, {place}" if self.file else place

    def __str__(self) -> str:
        return self.text("en")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A record that the owner may take over; `data` is validated and normalised."""

    collection: str
    data: Mapping[str, object]
    position: Position


@dataclass(frozen=True, slots=True)
class Note:
    """Why something was not taken over as it stood.

    `detail` says what it is about: a qualified attribute name, or words of the file.
    """

    position: Position
    code: str
    detail: str = ""

    def text(self, locale: str | None) -> str:
        """Return the note in the reader's words, without its position."""
        try:
            detail = f"«{CATALOGUE.attribute(self.detail).label.text(locale)}»"
        except NotFoundError:
            detail = self.detail
        # A file inside an archive is refused for the same reasons as one on its own.
        table = WORDS["notes"] if self.code in WORDS["notes"] else WORDS["files"]
        return table[self.code].text(locale).format(detail=detail)


@dataclass(frozen=True, slots=True)
class ImportResult:
    """Candidates in file order; what was left out of them; and whole things that were refused."""

    candidates: tuple[Candidate, ...]
    skipped: tuple[Note, ...]
    refused: tuple[Note, ...]


@dataclass(slots=True)
class Findings:
    """Collects candidates and notes while a file is read."""

    candidates: list[Candidate] = field(default_factory=list)
    skipped: list[Note] = field(default_factory=list)
    refused: list[Note] = field(default_factory=list)
    _items: int = 0

    def skip(self, position: Position, code: str, detail: str = "") -> None:
        """Note that a part of something was left out or changed."""
        self.skipped.append(Note(position, code, detail))

    def refuse(self, position: Position, code: str, detail: str = "") -> None:
        """Note that a whole thing was left out."""
        self.count_item()
        self.refused.append(Note(position, code, detail))

    def count_item(self) -> None:
        """Count one card, visit, account or transaction.

        Raises:
            LimitExceededError: the file holds more than `MAX_ITEMS`.
        """
        self._items += 1
        if self._items > MAX_ITEMS:
            raise LimitExceededError(f"more than {MAX_ITEMS} items in one file")

    def offer(self, collection: str, data: Mapping[str, object], position: Position) -> bool:
        """Add a candidate; leave out the parts of it that do not fit, with a note for each.

        Returns whether it was added; otherwise it is among the refused.
        """
        known = CATALOGUE.collection(collection)
        try:
            valid = known.validate(data)
        except ValidationFailedError as error:
            fitting, notes = _fitting(collection, data, error.issues, position)
            try:
                valid = known.validate(fitting)
            except ValidationFailedError:
                self.refuse(position, "invalid", f"{collection}.{error.issues[0].field}")
                return False
            self.skipped.extend(notes)
        self.count_item()
        self.candidates.append(Candidate(collection, valid, position))
        return True

    def add(self, result: ImportResult) -> None:
        """Take over what was found in a file inside this one."""
        for candidate in result.candidates:
            self.count_item()
            self.candidates.append(candidate)
        for note in result.refused:
            self.count_item()
            self.refused.append(note)
        self.skipped.extend(result.skipped)

    def result(self) -> ImportResult:
        """Return what was found."""
        return ImportResult(tuple(self.candidates), tuple(self.skipped), tuple(self.refused))


def _fitting(
    collection: str, data: Mapping[str, object], issues: tuple[Issue, ...], position: Position
) -> tuple[dict[str, object], list[Note]]:
    """Return what is left of `data` without its faults, and a note for each of them."""
    fitting, notes = dict(data), []
    for issue in issues:
        value = fitting.pop(issue.field, None)
        limit = issue.params.get("max")
        detail = f"{collection}.{issue.field}"
        if isinstance(value, str) and isinstance(limit, int):
            # Half a note is better than none, as long as it says so.
            fitting[issue.field] = value.strip()[:limit]
            notes.append(Note(position, "value_shortened", detail))
        elif value is not None:
            notes.append(Note(position, "value_unusable", detail))
    return fitting, notes


def unusable_file(code: str, detail: str = "") -> ValidationFailedError:
    """Return the error for a file of which nothing can be imported."""
    return ValidationFailedError(
        [Issue("file", code, WORDS["files"][code].en.format(detail=detail), {"detail": detail})]
    )


def file_message(issue: Issue, locale: str | None) -> str:
    """Say in the reader's language why a file was refused as a whole."""
    return WORDS["files"][issue.rule].text(locale).format(**issue.params)
