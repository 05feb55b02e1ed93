"""Taking an import back, batch by batch from its end; what was changed since stays as it is."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from contextlib import suppress
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import update
from sqlalchemy.orm import Session

from pds.catalogue import CATALOGUE, Cardinality
from pds.imports.choices import Outcome
from pds.imports.staging import UNDO, Staging, TickedError
from pds.models import ImportJob
from pds.record_boxes import Data
from pds.records import Draft, RecordService
from pds.store import Store


def written(outcome: Outcome) -> dict[str, object]:
    """Return what undoes a batch: what it left in each record, as a hash, and what was there."""
    return {
        "written": [
            [
                str(draft.id),
                _digest(draft.data),
                outcome.before.get(draft.id),
                [str(each.id) for each in outcome.added.get(draft.id, ())],
            ]
            for draft in outcome.drafts
        ]
    }


def take_back(store: Store, staging: Staging, records: RecordService, import_id: UUID) -> None:
    """Take back the last batch that is left.

    Raises:
        NotFoundError: this vault has no such import.
    """
    with store.read() as session:
        row = staging.job(session, import_id)
        batches = staging.batches(session, import_id, UNDO, limit=2, is_last_first=True)
    if not batches:
        return
    batch, is_last = batches[0], len(batches) == 1
    left = staging.open_batch(batch)["written"]
    removed, restored = _reversed(records, left)
    back = len(removed) + len(restored)
    report = staging.open_report(row.report_box, import_id)
    report["taken_back"] = report.get("taken_back", 0) + back
    report["changed_since"] = report.get("changed_since", 0) + len(left) - back
    values = {
        "state": "undone" if is_last else "undoing",
        "report_box": staging.seal_report(report, import_id),
    }

    def tick(session: Session) -> None:
        staging.tick(session, batch)
        session.execute(update(ImportJob).where(*staging.named(import_id)).values(**values))

    # Of the log's words for writes none says both; after a crash between the two, what is
    # restored already counts as changed since.
    if restored:
        records.save_all(restored, event="record.written")
    with suppress(TickedError):
        records.save_all(removed, event="record.deleted", also=tick)


def _reversed(records: RecordService, written: Sequence[Any]) -> tuple[list[Draft], list[Draft]]:
    """Return drafts that remove and that restore what is still as the import left it."""
    removed: list[Draft] = []
    restored: list[Draft] = []
    there = records.taken([UUID(each[0]) for each in written])
    for record_id, left, before, *files in written:
        found = there.get(UUID(record_id))
        if found is None or found.deleted or _digest(found.data) != left:
            continue
        # Files that came with the import go with it; a record that got others since stays.
        added = files[0] if files else []
        stay = tuple(each for each in found.files if str(each.id) not in added)
        if before is not None:
            draft = Draft(found.collection, before, found.id, found.version, files=stay)
            restored.append(draft)
        elif stay:
            continue
        else:
            single = CATALOGUE.collection(found.collection).cardinality is Cardinality.ONE
            draft = Draft(
                found.collection, {}, found.id, found.version, deleted=not single, files=()
            )
            removed.append(draft)
    return removed, restored


def _digest(data: Data) -> str:
    content = orjson.dumps(data, option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(content).hexdigest()[:32]
