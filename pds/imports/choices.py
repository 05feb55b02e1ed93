"""What becomes of candidates that are records already: the rule, and the owner's choice.

Owners keep their data: an import overwrites nothing unless they choose that it does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

from pds.record_boxes import Data, merge_source
from pds.records import Draft, RecordService

DUPLICATES = ("fill", "mine", "file")
"""What becomes of a record that is there already: its gaps are filled, it stays, it is replaced."""


@dataclass(slots=True)
class Outcome:
    """What a batch comes to: drafts, and candidates counted by what became of them.

    `before` holds what records that change held, for undoing.
    """

    drafts: Sequence[Draft] = ()
    imported: int = 0
    completed: int = 0
    known: int = 0
    kept: int = 0
    before: dict[UUID, Data] = field(default_factory=dict)


def compare(
    records: RecordService, collection: str, candidates: Sequence[Data], choice: str
) -> Outcome:
    """Return what candidates come to beside what is there; `choice` is of `DUPLICATES`."""
    sources = [merge_source(collection, data) for data in candidates]
    existing = records.find_mergeable(collection, [one for one in sources if one])
    drafts: dict[bytes | int, Draft] = {}
    outcome = Outcome()
    for position, (data, source) in enumerate(zip(candidates, sources, strict=True)):
        key = source or position
        draft, found = drafts.get(key), existing.get(source) if source else None
        if draft is None and found is None:
            drafts[key] = Draft(collection, data)
            outcome.imported += 1
            continue
        before: Data = draft.data if draft else found.data if found else {}
        merged = _merged(before, data, choice)
        differs = any(before[name] != value for name, value in data.items() if name in before)
        if differs and choice != "file":
            outcome.kept += 1
        elif merged == before:
            outcome.known += 1
        else:
            outcome.completed += 1
        if merged == before:
            continue
        if found is not None:
            outcome.before.setdefault(found.id, found.data)
        if draft is not None:
            drafts[key] = Draft(collection, merged, draft.id, draft.version)
        elif found is not None:
            drafts[key] = Draft(collection, merged, found.id, found.version)
    outcome.drafts = list(drafts.values())
    return outcome


def _merged(before: Data, data: Data, choice: str) -> Data:
    if choice == "mine":
        return before
    return before | data if choice == "file" else data | before
