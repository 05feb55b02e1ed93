"""The Tryton 8.2 adapter: parties with their contact mechanisms and addresses.

Our key stands in `party.code`, which is unique in the database and survives an erasure (CON-6,
CON-7). A row of a child table carries our mark: a contact mechanism in its `name`, an address in
its `sequence`, because addresses have no other field that is neither printed on letters nor shown.
Whoever changes a row's mark in Tryton takes the row over; erasing the whole party still covers it.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

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
    Retry,
    Stale,
    Upsert,
    Value,
    Written,
    split_field,
)
from connector.crm.tryton_http import Row, TrytonAbsentError, TrytonHTTP, TrytonRefusedError
from connector.errors import CrmRefusedError, CrmUnauthorizedError

PARTY = "party.party"
MECHANISMS = "contact_mechanisms"
ADDRESSES = "addresses"
SERIES = "8.2"
ADDRESS_MEMBERS = (
    "street_unstructured",
    "street_name",
    "building_name",
    "building_number",
    "floor_number",
    "unit_number",
    "room_number",
    "post_box",
    "postal_code",
    "city",
)
# Everything that could tell who a party was; the erase wizard must leave none of it.
PERSONAL = {
    MECHANISMS: ("value", "comment"),
    ADDRESSES: (*ADDRESS_MEMBERS, "party_name", "attn"),
    "identifiers": ("code",),
}
WIPED = frozenset({None, "", "****"})
KINDS: Mapping[str, FieldSchema] = {
    "char": FieldSchema("text"),
    "text": FieldSchema("text"),
    "integer": FieldSchema("number"),
    "boolean": FieldSchema("flag"),
}
# Tryton's refusals in our words: its own quote the record, and so the person.
REFUSALS = (
    (re.compile(r"not allowed to modify"), "archived or locked in the CRM"),
    (re.compile(r"not allowed to access"), "the CRM user may not write this"),
    (re.compile(r"value is required"), "the CRM requires a value"),
    (re.compile(r"not one of the allowed options"), "not one of the CRM's options"),
    (re.compile(r"too long"), "too long for the CRM"),
)
BLOCKS = (
    (re.compile(r"pending sale"), "pending_sales"),
    (re.compile(r"pending invoice|unpaid invoice"), "unpaid_invoices"),
    (re.compile(r"receivable|payable"), "open_balance"),
)


class TrytonCrm:
    """Parties of one Tryton database."""

    def __init__(self, tryton: TrytonHTTP, *, max_batch: int = 100) -> None:
        self._tryton = tryton
        self._capabilities = Capabilities(
            external_id="unique",
            max_batch=max_batch,
            erase="wizard",
            has_optimistic_lock=False,  # REST ignores it (CON-11)
            default_object=PARTY,
        )

    @property
    def capabilities(self) -> Capabilities:
        """Say what the engine may rely on."""
        return self._capabilities

    def check(self) -> CheckReport:
        """Try key, permissions, password and the erase wizard; no party is touched."""
        facts = [f"Tryton {self._tryton.version()}"]
        problems = [] if facts == [f"Tryton {SERIES}"] else [f"made for Tryton {SERIES} only"]
        for test in (self._check_access, self._check_key_field, self._check_wizard):
            try:
                problems += test()
            except CrmUnauthorizedError as error:
                problems.append(str(error))
            except (TrytonRefusedError, TrytonAbsentError):
                problems.append(f"{test.__name__.removeprefix('_check_')}: refused")
        return CheckReport(problems, facts)

    def describe(self, obj: str) -> ObjectSchema:
        """Return the fields of a party that a mapping can name."""
        if obj != PARTY:
            return ObjectSchema({})
        described = self._tryton.action(obj, "fields_get", {})
        fields = {name: _schema(row) for name, row in described.items() if row["type"] in KINDS}
        # Our key is ours alone, and archiving belongs to the CRM and to erasures.
        fields |= {"code": FieldSchema("text", is_writable=False)}
        fields |= {"active": FieldSchema("flag", is_writable=False)}
        kinds = self._tryton.action("party.contact_mechanism", "fields_get", {})["type"]
        options = frozenset(option for option, _label in kinds["selection"])
        fields[MECHANISMS] = FieldSchema("rows", keys=options)
        fields[ADDRESSES] = FieldSchema("rows", members=frozenset(ADDRESS_MEMBERS))
        return ObjectSchema(fields)

    def find_by_key(
        self, obj: str, keys: Sequence[str], *, fields: Sequence[str]
    ) -> Mapping[str, CrmRecord]:
        """Return the parties with these codes, archived ones too."""
        rows = self._tryton.search(obj, [["code", "in", list(keys)]], _paths(fields))
        return {row["code"]: _record(obj, row, fields) for row in rows}

    def read(
        self, refs: Sequence[CrmRef], *, fields: Sequence[str]
    ) -> Mapping[CrmRef, CrmRecord | None]:
        """Return parties by id, archived ones too."""
        wanted = [int(ref.id) for ref in refs]
        rows = self._tryton.search(PARTY, [["id", "in", wanted]], _paths(fields))
        found = {str(row["id"]): _record(PARTY, row, fields) for row in rows}
        return {ref: found.get(ref.id) for ref in refs}

    def upsert(self, batch: Sequence[Upsert]) -> Sequence[Outcome]:
        """Write each row by a request of its own: Tryton's batches are all or nothing (CON-11)."""
        return [self._write(row) for row in batch]

    def erase(self, ref: CrmRef, plan: ErasePlan) -> EraseOutcome:
        """Run Tryton's erase wizard, or clear what the plan names."""
        party = self._party(ref)
        if party is None:
            return Erased()
        try:
            if plan.is_whole:
                return self._erase_whole(ref, party)
            return self._clear(ref, plan.fields, party)
        except TrytonAbsentError:
            return Erased()

    def verify_erased(self, ref: CrmRef, plan: ErasePlan) -> Sequence[Residue]:
        """Read the party again and name what is left."""
        if not plan.is_whole:
            record = self.read([ref], fields=plan.fields)[ref]
            held = {} if record is None else record.fields
            return [Residue(name) for name, value in held.items() if value is not None]
        party = self._party(ref)
        if party is None:
            return []
        left = [Residue("name")] if party["name"] not in WIPED else []
        for child, members in PERSONAL.items():
            values = (row[member] for row in party[child] for member in members)
            if any(value not in WIPED for value in values):
                left.append(Residue(child))
        return left

    def _check_access(self) -> list[str]:
        models = (PARTY, "party.contact_mechanism", "party.address")
        access = self._tryton.action("ir.model.access", "get_access", {"models": list(models)})
        return [
            f"the user may not {mode} {model}"
            for model in models
            for mode in ("read", "write", "create")
            if not access[model][mode]
        ]

    def _check_key_field(self) -> list[str]:
        code = self._tryton.action(PARTY, "fields_get", {"fields_names": ["code"]})
        return [] if "code" in code else ["party.code is missing: it is our key"]

    def _check_wizard(self) -> list[str]:
        session, *_ = self._tryton.call("wizard.party.erase.create")
        self._tryton.call("wizard.party.erase.delete", session)
        return []

    def _party(self, ref: CrmRef) -> Row | None:
        children = [f"{child}.{member}" for child, names in PERSONAL.items() for member in names]
        rows = self._tryton.search(PARTY, [["id", "=", int(ref.id)]], ["name", "active", *children])
        return rows[0] if rows else None

    def _write(self, row: Upsert) -> Outcome:
        fields = sorted({*row.values, *row.clear})
        try:
            if row.ref is None:
                values = {"code": row.key, **_values(row.values, (), {})}
                stored = self._tryton.create(PARTY, values, _paths(fields))
            else:
                rows = self._rows(row.ref, fields)
                values = _values(row.values, row.clear, rows)
                stored = self._tryton.update(PARTY, row.ref.id, values, _paths(fields))
        except TrytonAbsentError:
            return Stale()
        except TrytonRefusedError as refusal:
            return _outcome(refusal.text, fields)
        except CrmRefusedError:
            # A 500 is no reason to stop the others; it may well be this row's own.
            return Rejected("", "the CRM failed on this row")
        return Written(_record(PARTY, stored, fields), is_new=row.ref is None)

    def _rows(self, ref: CrmRef, fields: Iterable[str]) -> Row:
        """Read the child rows that carry our marks, to change rather than add to them."""
        found = self._tryton.search(PARTY, [["id", "=", int(ref.id)]], _paths(fields))
        if not found:
            raise TrytonAbsentError
        return found[0]

    def _erase_whole(self, ref: CrmRef, party: Row) -> EraseOutcome:
        # The wizard refuses an active party.
        self._tryton.update(PARTY, ref.id, {"active": False})
        number = int(ref.id)
        context = {"active_model": PARTY, "active_id": number, "active_ids": [number]}
        session, *_ = self._tryton.call("wizard.party.erase.create")
        try:
            answer = {"ask": {"party": number}}
            self._tryton.call(
                "wizard.party.erase.execute", session, answer, "erase", context=context
            )
        except TrytonRefusedError as refusal:
            if party["active"]:
                # Its invoice or sale has to be finished: nobody would find an archived party.
                self._tryton.update(PARTY, ref.id, {"active": True})
            return _block(refusal.text)
        finally:
            self._tryton.call("wizard.party.erase.delete", session)
        return Erased()

    def _clear(self, ref: CrmRef, fields: Sequence[str], party: Row) -> EraseOutcome:
        was_active = bool(party["active"])
        try:
            if not was_active:
                # The fields of an archived party are read-only.
                self._tryton.update(PARTY, ref.id, {"active": True})
            values = _values({}, fields, self._rows(ref, fields))
            self._tryton.update(PARTY, ref.id, values)
            if not was_active:
                self._tryton.update(PARTY, ref.id, {"active": False})
        except TrytonRefusedError:
            return Blocked("refused_by_crm")
        return Erased()


def mechanism_mark(mark: str) -> str:
    """Return what the `name` of a contact mechanism of ours holds."""
    return f"pds:{mark}"


def address_mark(mark: str) -> int:
    """Return what the `sequence` of an address of ours holds: above any that people number."""
    return 1_000_000 + zlib.crc32(mark.encode()) % 1_000_000


def _schema(row: Mapping[str, Any]) -> FieldSchema:
    kind = KINDS[row["type"]]
    return FieldSchema(kind.kind, is_writable=not row["readonly"])


def _paths(fields: Iterable[str]) -> list[str]:
    """Return what to read for some fields of ours."""
    paths = {"code", "active"}
    for field in fields:
        base, mark = split_field(field)
        if mark is None:
            paths.add(base)
        elif base == MECHANISMS:
            paths |= {f"{base}.name", f"{base}.type", f"{base}.value"}
        else:
            paths |= {f"{base}.sequence", *(f"{base}.{member}" for member in ADDRESS_MEMBERS)}
    return sorted(paths)


def _record(obj: str, row: Row, fields: Iterable[str]) -> CrmRecord:
    return CrmRecord(
        ref=CrmRef(obj, str(row["id"])),
        key=row["code"],
        fields={field: _value(row, field) for field in fields},
        is_archived=not row["active"],
    )


def _value(row: Row, field: str) -> Value:
    base, mark = split_field(field)
    if mark is None:
        plain: Value = row[base]
        return plain or None if isinstance(plain, str) else plain
    ours = _marked(row, base, mark)
    if not ours:
        return None
    if base == MECHANISMS:
        value: Value = ours[0]["value"]
        return value
    return {name: ours[0][name] for name in ADDRESS_MEMBERS if ours[0][name] not in WIPED}


def _marked(row: Row, base: str, mark: str) -> list[Mapping[str, Any]]:
    if base == MECHANISMS:
        return [child for child in row[base] if child["name"] == mechanism_mark(mark)]
    return [child for child in row[base] if child["sequence"] == address_mark(mark)]


def _values(values: Mapping[str, Value], clear: Iterable[str], row: Row) -> dict[str, Any]:
    """Return the body of a write: plain values, and commands for child rows."""
    body: dict[str, Any] = {}
    for field in clear:
        base, mark = split_field(field)
        if mark is None:
            body[base] = None
        elif rows := _marked(row, base, mark):
            body.setdefault(base, []).append(["delete", [child["id"] for child in rows]])
    for field, value in values.items():
        base, mark = split_field(field)
        if mark is None:
            body[base] = value
            continue
        rows = _marked(row, base, mark) if row else []
        child = _child(base, mark, value)
        command = ["write", [rows[0]["id"]], child] if rows else ["create", [child]]
        body.setdefault(base, []).append(command)
    return body


def _child(base: str, mark: str, value: Value) -> dict[str, Any]:
    if base == MECHANISMS:
        return {"type": mark.partition(":")[0], "name": mechanism_mark(mark), "value": value}
    members = value if isinstance(value, Mapping) else {}
    # Members that are no longer shared are emptied, not left.
    whole = {name: members.get(name) for name in ADDRESS_MEMBERS}
    return {"sequence": address_mark(mark), **whole}


def _outcome(text: str, fields: Sequence[str]) -> Outcome:
    if "must be unique" in text:
        return Duplicate()
    message = next((ours for pattern, ours in REFUSALS if pattern.search(text)), None)
    field = fields[0] if len(fields) == 1 else ""
    return Rejected(field, message or "refused by the CRM")


def _block(text: str) -> EraseOutcome:
    if "still active" in text:
        return Retry()
    return Blocked(
        next((code for pattern, code in BLOCKS if pattern.search(text)), "refused_by_crm")
    )
