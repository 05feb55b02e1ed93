"""iCalendar (RFC 5545): every event with a day becomes a `life_events` record.

The content lines are those of vCard, read by the same reader; icalendar 7.3.0 reads as much, but
tells neither the line of what it leaves out nor goes on after an event that is closed wrongly.
A day is the one that is written, in whatever time zone: moving it could move it over midnight.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from pds.errors import LimitExceededError
from pds.importing import dates
from pds.importing.content_lines import ContentLine, UnreadableLine, read_content_lines
from pds.importing.results import MAX_DEPTH, Findings, ImportResult, Position, unusable_file

FORMAT = "iCalendar"

_DAY = re.compile(r"([0-9]{4})([0-9]{2})([0-9]{2})(?:T[0-9]{6}Z?)?\Z")
_DETAILS = ("SUMMARY", "LOCATION", "DESCRIPTION")
_LISTS_OF_DAYS = ("EXDATE", "RDATE")
_PASSED_OVER = frozenset({"VTODO", "VJOURNAL", "VFREEBUSY"})
_MOST_LINES = 500


@dataclass(slots=True)
class _Event:
    """The properties of an event, without those of its alarms."""

    position: Position
    lines: list[ContentLine] = field(default_factory=list)

    def add(self, line: ContentLine) -> None:
        if len(self.lines) < _MOST_LINES:
            self.lines.append(line)

    def first(self, name: str) -> ContentLine | None:
        return next((line for line in self.lines if line.name == name), None)

    def text(self, name: str) -> str:
        line = self.first(name)
        return line.text().strip() if line else ""


def read_icalendar(data: bytes) -> ImportResult:
    """Read the events of a file's calendars.

    Raises:
        ValidationFailedError: it is no calendar, or ends inside one.
        LimitExceededError: it is nested too deep or holds too much.
    """
    findings = Findings()
    reader = _Reader(findings)
    for line in read_content_lines(data):
        if isinstance(line, UnreadableLine):
            findings.skip(Position("line", line.number), "line_unreadable")
        else:
            reader.take(line)
    if not reader.calendars:
        raise unusable_file("not_this_format", FORMAT)
    if reader.open:
        raise unusable_file("truncated")
    return findings.result()


class _Reader:
    """Follows the components; only an event's own properties belong to it."""

    def __init__(self, findings: Findings) -> None:
        self.calendars = 0
        self.open: list[str] = []
        self._findings = findings
        self._event: _Event | None = None

    def take(self, line: ContentLine) -> None:
        component = (line.value or "").strip().upper()  # ascii
        if line.name == "BEGIN":
            self._begin(component, Position("line", line.number))
        elif line.name == "END" and component in self.open:
            self._end(component)
        elif self._event is not None and self.open[-1] == "VEVENT":
            self._event.add(line)

    def _begin(self, component: str, position: Position) -> None:
        if len(self.open) >= MAX_DEPTH:
            raise LimitExceededError(f"components nested more than {MAX_DEPTH} deep")
        self.open.append(component)
        if component == "VCALENDAR":
            self.calendars += 1
        elif component == "VEVENT":
            self._event = _Event(position)
        elif component in _PASSED_OVER:
            self._findings.refuse(position, "component_passed_over", component)

    def _end(self, component: str) -> None:
        while self.open.pop() != component:
            pass
        if component == "VEVENT" and self._event is not None:
            _read_event(self._event, self._findings)
            self._event = None


def _read_event(event: _Event, findings: Findings) -> None:
    start = event.first("DTSTART")
    written = (start.value or "").strip() if start else ""
    day = dates.by_groups(_DAY, written)
    details = [event.text(name) for name in _DETAILS]
    if event.text("STATUS").upper() == "CANCELLED":  # ascii
        findings.refuse(event.position, "event_cancelled")
        return
    if not written:
        findings.refuse(event.position, "date_missing")
        return
    if day is None:
        findings.refuse(event.position, "date_invalid", written[:40])
        return
    data = {"event": "other", "date": day, "details": "\n".join(filter(None, details))}
    if not findings.offer("life_events", data, event.position):
        return
    if event.first("RRULE") is not None:
        findings.skip(event.position, "repeats_left_out")
    for line in event.lines:
        if line.name in _LISTS_OF_DAYS and not (line.value or "").strip():
            findings.skip(Position("line", line.number), "value_unusable", line.name)
        elif line.guessed:
            findings.skip(Position("line", line.number), "charset_guessed", line.name)
    if event.first("ATTACH") is not None:
        findings.skip(event.position, "properties_dropped", "ATTACH")
