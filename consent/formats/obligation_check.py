"""What organisations owe after an end, held against their answers in the log (CM-7).

The receipt of an end says what is owed and until when; the answers are events of the same stream,
one name for each kind. Whoever confirms a deletion has stopped using what it had, so that settles
both. Times in events are cut to the minute, in favour of who answers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from consent.formats.leaf import PublicPart
from consent.formats.receipt import Citation

ANSWERS = {
    "obligation.stop_answered": "stop",
    "obligation.notify_answered": "notify",
    "erasure.confirmed": "delete",
}
OVERDUE = "obligation-overdue"
LATE = "obligation-late"
UNKNOWN = "obligation-unknown"

_DONE = "ok"


@dataclass(frozen=True, slots=True)
class Shortfall:
    """What was not done in time: whose event, by which rule, and how."""

    event: tuple[str, int]
    rule: str
    detail: str


@dataclass(slots=True)
class ObligationCheck:
    """Holds the obligations of receipts against events, as of an instant.

    Attributes:
        now: RFC 3339 in UTC; what was due before and has no answer is overdue.
        owed: how many obligations were looked at.
    """

    now: str
    owed: int = 0

    def check(
        self, receipts: Iterable[Citation], events: Sequence[PublicPart], ends: frozenset[str]
    ) -> Iterator[Shortfall]:
        """Yield what was not answered in time, and ends of which no receipt says what is owed.

        Args:
            receipts: what verified receipts cite.
            events: of all streams, each stream's in order of `seq`.
            ends: names of the events that end a consent.
        """
        answers = _answers(events)
        told = set()
        for receipt in receipts:
            place = receipt.log.stream, receipt.log.seq
            told.add(place)
            for each in receipt.obligations:
                self.owed += 1
                answered = [
                    event
                    for event in answers.get((receipt.log.stream, each.kind), ())
                    if event.seq > receipt.log.seq
                ]
                yield from self._shortfall(place, each.kind, each.due_at, answered)
        for event in events:
            if event.event in ends and (event.stream, event.seq) not in told:
                detail = "no receipt at hand says what was owed after it"
                yield Shortfall((event.stream, event.seq), UNKNOWN, detail)

    def _shortfall(
        self, place: tuple[str, int], kind: str, due_at: str, answers: Sequence[PublicPart]
    ) -> Iterator[Shortfall]:
        if not answers and due_at < self.now:
            detail = f"to {kind} was due at {due_at}, and has no answer"
            yield Shortfall(place, OVERDUE, detail)
        elif answers and answers[0].time > due_at:
            first = answers[0]
            detail = f"to {kind} was due at {due_at}, and answered at {first.time} ({first.seq})"
            yield Shortfall(place, LATE, detail)


def _answers(events: Iterable[PublicPart]) -> dict[tuple[str, str], list[PublicPart]]:
    found: dict[tuple[str, str], list[PublicPart]] = {}
    for event in events:
        kind = ANSWERS.get(event.event)
        if kind is not None:
            found.setdefault((event.stream, kind), []).append(event)
            if kind == "delete" and event.outcome == _DONE:
                found.setdefault((event.stream, "stop"), []).append(event)
    return found
