"""What a consent receipt states, as plain values; `receipt.build` gives it its form.

Instants are RFC 3339 in UTC with Z and whole seconds, durations ISO 8601, digests SHA-256 in
lowercase hex. There is no place here for a personal value (CM-17).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class ReceiptKind(StrEnum):
    """What happened; each is also the tail of the event's name in the log."""

    GIVEN = "given"
    CHANGED = "changed"
    RENEWED = "renewed"
    PAUSED = "paused"
    RESUMED = "resumed"
    REFUSED = "refused"
    DEFERRED = "deferred"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"
    TERMINATED = "terminated"
    INVALIDATED = "invalidated"
    FULFILLED = "fulfilled"

    @property
    def event(self) -> str:
        """The name of the log's event that the receipt cites."""
        return f"consent.{self.value}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """What was shown, and when: by reference and hash, never the text with its examples."""

    url: str
    language: str
    shown_at: str
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Party:
    """An organisation as a party: `contact` is where a person can ask."""

    id: str
    name: str
    address: str
    contact: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonalData:
    """One agreed attribute: its kind (`pd:` term), its name, and what was done to it."""

    kind: str
    attribute: str
    required: bool
    transform: str = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """How data may be fetched: mode view, store, query or stream; fetch onetime or periodic."""

    mode: str
    fetch: str
    frequency: str | None = None
    data_from: str | None = None
    data_to: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """One processing: `purpose` and `legal_basis` are `dpv:` terms."""

    purpose: str
    purpose_text: str
    legal_basis: str
    personal_data: tuple[PersonalData, ...]
    recipients: tuple[str, ...]
    storage_location: str
    storage_duration: str
    access: Access


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """One event in the life of the consent, `seq` from 1; `duration` of what was given.

    `indicated_by` is `dpv:DataSubject`, or who else acted: `organisation`, `operator`,
    `authority`, `clock`. `is_paused`: new terms were given while processing rests, and it rests on.
    """

    seq: int
    kind: ReceiptKind
    at: str
    indicated_by: str
    method: str
    duration: str | None = None
    is_paused: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class AgreementCitation:
    """The agreement version in question, by id and hash; null where there is none."""

    id: str | None
    version: int | None
    sha256: str | None
    template_sha256: str
    supersedes: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Obligation:
    """What the organisation owes after the end."""

    kind: str
    due_at: str
    state: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LogCitation:
    """Where the log has the event (P-31)."""

    origin: str
    stream: str
    seq: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiptFacts:
    """Everything that a receipt states; the last status is what it is a receipt of.

    Attributes:
        receipt_id: UUID of this receipt.
        record_id: UUID of the consent record; the same in all receipts of one consent.
        created_at: instant.
        publisher: who issues it.
        data_subject: pairwise pseudonym; never an address or name.
        jurisdiction: ISO 3166-1 alpha-2 code.
        withdraw_at: URL where consent is withdrawn.
        rights: URLs where the person's rights are exercised.
        authority: the supervisory authority.
    """

    receipt_id: str
    record_id: str
    created_at: str
    publisher: str
    data_subject: str
    notice: Notice
    controller: Party
    jurisdiction: str
    processes: tuple[Process, ...]
    statuses: tuple[Status, ...]
    agreement: AgreementCitation
    withdraw_at: str
    rights: tuple[str, ...]
    log: LogCitation
    applicable_law: str | None = None
    authority: str | None = None
    grant_ids: tuple[str, ...] = ()
    denied_attributes: tuple[str, ...] = ()
    obligations: tuple[Obligation, ...] = ()
