"""What becomes of candidates that are records already: the rule, and the owner's choice.

Owners keep their data: an import overwrites nothing unless they choose that it does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

from pds.catalogue import CATALOGUE, Cardinality
from pds.ids import RecordId, new_record_id
from pds.record_boxes import Data, Files, Source, merge_source
from pds.records import Draft, Opened, RecordService

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
    there: dict[int, Opened] = field(default_factory=dict)
    added: dict[UUID, Files] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Ids:
    """The ids that candidates had in the store they come from, and the import that brings them."""

    of: Sequence[UUID]
    import_id: UUID


def compare(
    records: RecordService,
    collection: str,
    candidates: Sequence[Data],
    choice: str,
    *,
    ids: Ids | None = None,
    origin: Source | None = None,
) -> Outcome:
    """Return what candidates come to beside what is there; `choice` is of `DUPLICATES`.

    `origin` is where the drafts have it from.
    With `ids` a candidate is first of all the record of its id, and takes that id where it is free;
    two of one archive are never the same one, however alike they are, and whichever ids they claim.
    """
    sources = [merge_source(collection, data) for data in candidates]
    is_single = CATALOGUE.collection(collection).cardinality is Cardinality.ONE
    there, free = _there(records, collection, sources, ids)
    drafts: dict[bytes | int, Draft] = {}
    outcome = Outcome(there=there)
    for position, (data, source) in enumerate(zip(candidates, sources, strict=True)):
        key = position if ids and not is_single else source or position
        draft, found = drafts.get(key), there.get(position)
        if draft is None and found is None:
            record_id = free.get(position) or new_record_id()
            drafts[key] = Draft(collection, data, record_id, source=origin)
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
            drafts[key] = Draft(collection, merged, draft.id, draft.version, source=origin)
        elif found is not None:
            drafts[key] = Draft(collection, merged, found.id, found.version, source=origin)
    outcome.drafts = list(drafts.values())
    return outcome


def _there(
    records: RecordService, collection: str, sources: Sequence[bytes | None], ids: Ids | None
) -> tuple[dict[int, Opened], dict[int, RecordId]]:
    """Return the records that candidates are already, and the ids that new ones keep."""
    by_key = records.find_mergeable(collection, [one for one in sources if one])
    alike = {
        position: by_key[source]
        for position, source in enumerate(sources)
        if source is not None and source in by_key
    }
    if ids is None:
        return alike, {}
    taken = records.taken(ids.of)
    single = CATALOGUE.collection(collection).cardinality is Cardinality.ONE
    there: dict[int, Opened] = {}
    free: dict[int, RecordId] = {}
    used: set[UUID] = set()

    def is_others(found: Opened) -> bool:
        return found.source is None or found.source.id != ids.import_id

    for position, record_id in enumerate(ids.of):
        found = taken.get(record_id)
        if record_id in used:
            continue
        if found is None:
            free[position] = RecordId(record_id)
        elif found.collection == collection and not found.deleted and is_others(found):
            there[position] = found
        used.add(record_id)
    for position, found in alike.items():
        if single:
            there[position] = found
        elif position not in there and found.id not in used and is_others(found):
            there[position] = found
            used.add(found.id)
    return there, free


def _merged(before: Data, data: Data, choice: str) -> Data:
    if choice == "mine":
        return before
    return before | data if choice == "file" else data | before
