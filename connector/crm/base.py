"""What the engine asks of a CRM, and the words of its answers.

A field is named as the mapping names it: `name` for a plain field, `addresses[home]` for a row of a
child table that carries our mark `home` (never a position). Values are what JSON can hold.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

Value = str | int | bool | None | Mapping[str, "Value"]


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What the engine may rely on; CON-G2 depends on `external_id`."""

    external_id: Literal["unique", "indexed", "none"]
    max_batch: int
    erase: Literal["wizard", "purge", "blank"]
    has_optimistic_lock: bool
    default_object: str


@dataclass(frozen=True, slots=True)
class CrmRef:
    """The CRM's own id of a contact."""

    object: str
    id: str


@dataclass(frozen=True, slots=True)
class CrmRecord:
    """A contact as the CRM holds it now; `version` only where it has an optimistic lock."""

    ref: CrmRef
    key: str | None
    fields: Mapping[str, Value] = field(repr=False)
    is_archived: bool = False
    version: str | None = None


@dataclass(frozen=True, slots=True)
class Upsert:
    """A write: create a contact under `key`, or change the one at `ref`."""

    object: str
    key: str
    ref: CrmRef | None
    values: Mapping[str, Value] = field(repr=False)
    clear: Sequence[str] = ()
    version: str | None = None


@dataclass(frozen=True, slots=True)
class Written:
    """Done; `record` is read back, because a CRM may reformat what it is given."""

    record: CrmRecord
    is_new: bool


@dataclass(frozen=True, slots=True)
class Duplicate:
    """A contact with this key exists already: find it by its key and update it."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """The CRM refuses this row. `message` is ours: the CRM's own quotes personal values."""

    field: str
    message: str


@dataclass(frozen=True, slots=True)
class Retry:
    """Not now; `after_seconds` where the CRM said when."""

    after_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Stale:
    """Somebody changed the contact since it was read: read again."""


Outcome = Written | Duplicate | Rejected | Retry | Stale


@dataclass(frozen=True, slots=True)
class ErasePlan:
    """What to erase: the whole contact, or only some fields of it."""

    mode: Literal["erase", "anonymise"]
    is_whole: bool
    fields: Sequence[str]


@dataclass(frozen=True, slots=True)
class Erased:
    """Nothing of it is left, or there was nothing: an absent contact is erased."""


@dataclass(frozen=True, slots=True)
class Blocked:
    """The CRM must keep it for now, for a reason of its own such as an unpaid invoice."""

    reason: str


EraseOutcome = Erased | Blocked | Retry


@dataclass(frozen=True, slots=True)
class Residue:
    """A field that still holds something after an erasure."""

    field: str


@dataclass(frozen=True, slots=True)
class FieldSchema:
    """A field that the CRM has; `keys` are the marks that rows of a child table may carry."""

    kind: Literal["text", "number", "flag", "rows"]
    is_writable: bool = True
    keys: frozenset[str] | None = None  # of rows only; None means any
    members: frozenset[str] | None = None  # of rows only; None means a row is one text


@dataclass(frozen=True, slots=True)
class ObjectSchema:
    """A kind of contact, by field."""

    fields: Mapping[str, FieldSchema]


@dataclass(frozen=True, slots=True)
class CheckReport:
    """What `check` found; it passed if there is no problem."""

    problems: Sequence[str]
    facts: Sequence[str] = ()


class CrmAdapter(Protocol):
    """One CRM.

    Every method may raise `CrmUnavailableError`, `CrmUnauthorizedError` or `CrmRefusedError` for
    the CRM as a whole; what concerns one row comes back as that row's outcome.
    """

    @property
    def capabilities(self) -> Capabilities:
        """Say what the engine may rely on."""
        ...

    def check(self) -> CheckReport:
        """Try credentials, permissions and the key field; write nothing."""
        ...

    def describe(self, obj: str) -> ObjectSchema:
        """Return the fields of an object, for the mapping lint; write nothing."""
        ...

    def find_by_key(
        self, obj: str, keys: Sequence[str], *, fields: Sequence[str]
    ) -> Mapping[str, CrmRecord]:
        """Return the contacts with these keys, archived ones too (CON-9)."""
        ...

    def read(
        self, refs: Sequence[CrmRef], *, fields: Sequence[str]
    ) -> Mapping[CrmRef, CrmRecord | None]:
        """Return contacts by the CRM's own ids, archived ones too, None where there is none."""
        ...

    def upsert(self, batch: Sequence[Upsert]) -> Sequence[Outcome]:
        """Write each row; one outcome for each, in the same order.

        Raises:
            BatchRefusedError: nothing was written, and which row is at fault is unknown.
        """
        ...

    def erase(self, ref: CrmRef, plan: ErasePlan) -> EraseOutcome:
        """Erase as planned; repeating it changes nothing, and absent counts as erased."""
        ...

    def verify_erased(self, ref: CrmRef, plan: ErasePlan) -> Sequence[Residue]:
        """Read the contact again and name what is left of what the plan erases."""
        ...


def split_field(name: str) -> tuple[str, str | None]:
    """Split `addresses[home]` into `addresses` and `home`; a plain field has no mark."""
    base, bracket, rest = name.partition("[")
    return (base, rest.removesuffix("]")) if bracket else (name, None)
