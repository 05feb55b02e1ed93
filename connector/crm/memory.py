"""A CRM in memory: the reference for the adapter interface, and a place to try a mapping out.

It behaves as awkwardly as real ones: keys are unique in it, contacts can be archived or legally
blocked, a field can be reformatted, and a batch can be refused as a whole.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from dataclasses import field as dataclass_field

from connector.crm.base import (
    Blocked,
    Capabilities,
    CheckReport,
    CrmRecord,
    CrmRef,
    Duplicate,
    Erased,
    EraseOutcome,
    ErasePlan,
    FieldSchema,
    ObjectSchema,
    Outcome,
    Rejected,
    Residue,
    Stale,
    Upsert,
    Value,
    Written,
    split_field,
)
from connector.errors import BatchRefusedError

SCHEMA: Mapping[str, FieldSchema] = {
    "name": FieldSchema("text"),
    "email": FieldSchema("text"),
    "phone": FieldSchema("text"),
    "note": FieldSchema("text"),
    "created": FieldSchema("text", is_writable=False),
    "addresses": FieldSchema("rows", members=frozenset({"street", "postal_code", "city"})),
}


@dataclass(slots=True)
class _Contact:
    key: str
    version: int = 1
    is_archived: bool = False
    fields: dict[str, Value] = dataclass_field(default_factory=dict)


class MemoryCrm:
    """Contacts in a dictionary, behind a lock, so that a race has one winner."""

    def __init__(
        self,
        *,
        max_batch: int = 100,
        reformat: Callable[[str, Value], Value] = lambda _field, value: value,
    ) -> None:
        """Begin empty; `reformat` is what this CRM makes of a value it is given."""
        self.contacts: dict[str, _Contact] = {}
        self.blocked: dict[str, str] = {}  # contact id -> legal reason against erasing it
        self.poison: set[str] = set()  # a batch of several rows with such a key is refused whole
        self._capabilities = Capabilities("unique", max_batch, "purge", True, "contact")  # noqa: FBT003 - a record of facts
        self._reformat = reformat
        self._lock = threading.Lock()
        self._next_id = 1

    @property
    def capabilities(self) -> Capabilities:
        """Say what the engine may rely on."""
        return self._capabilities

    def check(self) -> CheckReport:
        """Find nothing wrong."""
        return CheckReport(problems=(), facts=("memory: nothing outlives the process",))

    def describe(self, obj: str) -> ObjectSchema:
        """Return the fields of a contact."""
        return ObjectSchema(SCHEMA if obj == "contact" else {})

    def find_by_key(
        self, obj: str, keys: Sequence[str], *, fields: Sequence[str]
    ) -> Mapping[str, CrmRecord]:
        """Return the contacts with these keys."""
        with self._lock:
            return {
                contact.key: _record(obj, ref, contact, fields)
                for ref, contact in self.contacts.items()
                if contact.key in keys
            }

    def read(
        self, refs: Sequence[CrmRef], *, fields: Sequence[str]
    ) -> Mapping[CrmRef, CrmRecord | None]:
        """Return contacts by id."""
        with self._lock:
            return {
                ref: _record(ref.object, ref.id, self.contacts[ref.id], fields)
                if ref.id in self.contacts
                else None
                for ref in refs
            }

    def upsert(self, batch: Sequence[Upsert]) -> Sequence[Outcome]:
        """Write each row by itself."""
        if len(batch) > 1 and any(row.key in self.poison for row in batch):
            raise BatchRefusedError("a row of the batch is at fault")
        with self._lock:
            return [self._write(row) for row in batch]

    def erase(self, ref: CrmRef, plan: ErasePlan) -> EraseOutcome:
        """Drop the contact, or blank what the plan names."""
        with self._lock:
            contact = self.contacts.get(ref.id)
            if contact is None:
                return Erased()
            if ref.id in self.blocked:
                return Blocked(self.blocked[ref.id])
            if plan.is_whole and plan.mode == "erase":
                del self.contacts[ref.id]
            elif plan.is_whole:
                contact.fields.clear()
            else:
                for name in plan.fields:
                    contact.fields.pop(name, None)
            return Erased()

    def verify_erased(self, ref: CrmRef, plan: ErasePlan) -> Sequence[Residue]:
        """Name the fields that still hold something."""
        with self._lock:
            contact = self.contacts.get(ref.id)
            held = {} if contact is None else contact.fields
            return [Residue(name) for name in held if plan.is_whole or name in plan.fields]

    def _write(self, row: Upsert) -> Outcome:
        for name in (*row.values, *row.clear):
            if split_field(name)[0] not in SCHEMA:
                return Rejected(name, "no such field")
        if row.key in self.poison:
            return Rejected("name", "the CRM refuses this value")
        return self._create(row) if row.ref is None else self._update(row, row.ref)

    def _update(self, row: Upsert, ref: CrmRef) -> Outcome:
        contact = self.contacts.get(ref.id)
        if contact is None or row.version not in {None, str(contact.version)}:
            return Stale()
        if contact.is_archived:
            return Rejected("", "archived in the CRM")
        self._change(contact, row)
        return Written(self._whole(ref.id, row.object), is_new=False)

    def _create(self, row: Upsert) -> Outcome:
        if any(contact.key == row.key for contact in self.contacts.values()):
            return Duplicate()
        number, self._next_id = str(self._next_id), self._next_id + 1
        self.contacts[number] = _Contact(row.key)
        self._change(self.contacts[number], row)
        return Written(self._whole(number, row.object), is_new=True)

    def _change(self, contact: _Contact, row: Upsert) -> None:
        contact.version += 1
        for name in row.clear:
            contact.fields.pop(name, None)
        for name, value in row.values.items():
            contact.fields[name] = self._reformat(name, value)

    def _whole(self, number: str, obj: str) -> CrmRecord:
        contact = self.contacts[number]
        return replace(_record(obj, number, contact, ()), fields=dict(contact.fields))


def _record(obj: str, number: str, contact: _Contact, fields: Sequence[str]) -> CrmRecord:
    return CrmRecord(
        ref=CrmRef(obj, number),
        key=contact.key,
        fields={name: contact.fields.get(name) for name in fields},
        is_archived=contact.is_archived,
        version=str(contact.version),
    )
