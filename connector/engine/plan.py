"""Compare what a contact should hold with what it holds: pure, and the same for a dry run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from connector.crm.base import CrmRecord, Value
from connector.keys import ConnectorKeys
from connector.mapping.rules import Conflict, Desired, Mapped
from connector.state.connections import KnownConnection
from connector.state.links import LedgerLine, Link

Action = Literal["create", "update", "noop"]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A connection to apply: its consented values, and what we know of its contact."""

    known: KnownConnection
    mark: int
    mapped: Mapped
    key: str
    link: Link | None
    ledger: Mapping[str, LedgerLine]


@dataclass(frozen=True, slots=True)
class FieldChange:
    """What happens to one field, and why; for people to read, so without its value."""

    field: str
    change: Literal["set", "clear", "keep"]
    reason: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What happens to one contact."""

    candidate: Candidate
    record: CrmRecord | None
    action: Action
    changes: Sequence[FieldChange]
    values: Mapping[str, Value] = field(repr=False)

    @property
    def clear(self) -> list[str]:
        """Return the fields to clear."""
        return [change.field for change in self.changes if change.change == "clear"]

    @property
    def overwritten(self) -> list[str]:
        """Return the fields where somebody's change in the CRM gives way."""
        return [change.field for change in self.changes if change.reason == "edited in the CRM"]


def make_plan(candidate: Candidate, record: CrmRecord | None, *, keys: ConnectorKeys) -> Plan:
    """Plan one contact; a contact that holds everything already needs nothing."""
    changes = [
        _wanted(name, desired, candidate, record, keys)
        for name, desired in sorted(candidate.mapped.desired.items())
    ]
    changes += _unwanted(candidate, record, keys)
    values = {
        change.field: candidate.mapped.desired[change.field].value
        for change in changes
        if change.change == "set"
    }
    is_change = any(change.change != "keep" for change in changes)
    if record is None:
        action: Action = "create" if values else "noop"
    else:
        action = "update" if is_change else "noop"
    return Plan(candidate, record, action, changes, values)


def ledger_lines(plan: Plan, record: CrmRecord, *, keys: ConnectorKeys) -> list[LedgerLine]:
    """Return what the ledger must say once the CRM holds `record`."""
    lines = []
    for change in plan.changes:
        desired = plan.candidate.mapped.desired.get(change.field)
        is_ours = change.change == "set" or change.reason == "the same"
        if desired is None or not is_ours:
            continue
        stored = record.fields.get(change.field)
        lines.append(
            LedgerLine(
                field=change.field,
                category=desired.rule.category,
                sent=keys.field_digest(change.field, desired.value),
                stored=keys.field_digest(change.field, stored),
            )
        )
    return lines


def _wanted(
    name: str,
    desired: Desired,
    candidate: Candidate,
    record: CrmRecord | None,
    keys: ConnectorKeys,
) -> FieldChange:
    current = None if record is None else record.fields.get(name)
    line = candidate.ledger.get(name)
    is_untouched = line is not None and keys.field_digest(name, current) == line.stored
    is_sent = line is not None and keys.field_digest(name, desired.value) == line.sent
    if current == desired.value or (is_sent and is_untouched):
        return FieldChange(name, "keep", "the same")
    if current is None:
        return FieldChange(name, "set", "empty in the CRM")
    if desired.rule.conflict is Conflict.FILL_EMPTY:
        return FieldChange(name, "keep", "filled in the CRM")
    if is_untouched or line is None:
        # Without a line the contact was just found by our own key: a run died before noting it.
        return FieldChange(name, "set", "changed in the vault")
    if desired.rule.conflict is Conflict.CRM_WINS:
        return FieldChange(name, "keep", "edited in the CRM, which wins")
    return FieldChange(name, "set", "edited in the CRM")


def _unwanted(
    candidate: Candidate, record: CrmRecord | None, keys: ConnectorKeys
) -> list[FieldChange]:
    """Clear what is no longer consented, filled in or mapped.

    Only what is still as we wrote it: what somebody in the organisation entered instead has its
    own basis (CON-G6). A contact found by its key without a link holds only what we wrote.
    """
    if record is None:
        return []
    skipped = {problem.field for problem in candidate.mapped.invalid}
    changes = []
    for name in sorted(record.fields):
        value = record.fields[name]
        if name in candidate.mapped.desired or name in skipped or value is None:
            continue
        line = candidate.ledger.get(name)
        is_ours = candidate.link is None or (
            line is not None and keys.field_digest(name, value) == line.stored
        )
        if is_ours:
            changes.append(FieldChange(name, "clear", "no longer shared"))
    return changes
