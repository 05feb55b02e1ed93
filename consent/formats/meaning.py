"""What the events must mean: every read lies inside a consent alive at that instant (LOG-26).

In each grant's stream, by sequence number: consent is given under an agreement, may change, pause
and resume, and ends once. A read must come after it was given and before it ended, not paused, not
past the agreement's expiry, by the same client, citing the agreement in force, for its purpose, in
its collections. Times in events are cut to the minute, so a read in the very minute of expiry is
not held against anyone.

The rules' names are stable: `read-outside-grant`, `read-without-consent`, `read-after-end`,
`read-while-paused`, `read-by-another-client`, `read-under-another-agreement`, `agreement-missing`,
`read-after-expiry`, `read-for-another-purpose`, `read-outside-collections`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from consent.formats import fields
from consent.formats.errors import MalformedError
from consent.formats.leaf import PublicPart

READ = "data.read"
GIVEN = "consent.given"
TERMS_CHANGE = frozenset({"consent.changed", "consent.renewed"})
PAUSED = "consent.paused"
RESUMED = "consent.resumed"
ENDS = frozenset(
    {
        "consent.withdrawn",
        "consent.expired",
        "consent.terminated",
        "consent.fulfilled",
        "consent.invalidated",
    }
)
GRANT_STREAM = "g."


@dataclass(frozen=True, slots=True)
class Terms:
    """What an agreement permits: collections, one purpose, until when (exclusive)."""

    collections: frozenset[str]
    purpose: str
    expires_at: str | None

    @classmethod
    def from_document(cls, document: Mapping[str, object], where: str) -> Terms:
        """Read `attributes`, `purpose` and `expires_at` of an agreement; the rest is free.

        Raises:
            MalformedError: one of them is missing or breaks the form.
        """
        for name in ("attributes", "purpose", "expires_at"):
            if name not in document:
                raise MalformedError(f"{where}: {name} is missing")
        attributes = fields.distinct_texts(document["attributes"], f"{where}.attributes")
        return cls(
            collections=frozenset(name.partition(".")[0] for name in attributes),
            purpose=fields.text(document["purpose"], f"{where}.purpose"),
            expires_at=fields.optional(
                fields.instant, document["expires_at"], f"{where}.expires_at"
            ),
        )


@dataclass(slots=True)
class _Consent:
    """The state of one grant's consent, as its stream goes on."""

    agreement: str | None = None
    client: str | None = None
    paused: bool = False
    ended: PublicPart | None = None

    def apply(self, event: PublicPart) -> None:
        if event.event == GIVEN or (event.event in TERMS_CHANGE and self.agreement is not None):
            self.agreement = event.agreement_sha256
            # Where the person acts alone, as in a change, no client is named.
            self.client = event.client or self.client
        elif event.event in {PAUSED, RESUMED}:
            self.paused = event.event == PAUSED
        elif event.event in ENDS and self.ended is None:
            # It ends once: no later event in this stream opens it again (CM-6, CM-11).
            self.ended = event


@dataclass(slots=True)
class ReadCheck:
    """Checks the reads of many streams; feed each stream's events in order of `seq`."""

    terms: Mapping[str, Terms]
    _consents: dict[str, _Consent] = field(default_factory=dict)

    def feed(self, events: Iterable[PublicPart]) -> Iterator[tuple[PublicPart, str, str]]:
        """Yield (event, rule, detail) for each read that no consent permits."""
        for event in events:
            consent = self._consents.setdefault(event.stream, _Consent())
            if event.event == READ:
                objection = self._objection(event, consent)
                if objection is not None:
                    yield (event, *objection)
            else:
                consent.apply(event)

    def _objection(self, read: PublicPart, consent: _Consent) -> tuple[str, str] | None:
        if not read.stream.startswith(GRANT_STREAM) or read.grant is None:
            return "read-outside-grant", "it is not in the stream of a grant"
        if consent.agreement is None:
            return "read-without-consent", "no consent.given comes before it in its stream"
        objection = _against_state(read, consent)
        if objection is not None:
            return objection
        terms = self.terms.get(consent.agreement)
        if terms is None:
            return "agreement-missing", f"the terms {consent.agreement} are not at hand"
        return _against_terms(read, terms)


def _against_state(read: PublicPart, consent: _Consent) -> tuple[str, str] | None:
    if consent.ended is not None:
        ended = consent.ended
        return "read-after-end", f"{ended.event} comes before it, as number {ended.seq}"
    if consent.paused:
        return "read-while-paused", "consent was paused"
    if consent.client is not None and read.client != consent.client:
        return "read-by-another-client", "consent was given to another client"
    if read.agreement_sha256 != consent.agreement:
        return "read-under-another-agreement", f"in force was {consent.agreement}"
    return None


def _against_terms(read: PublicPart, terms: Terms) -> tuple[str, str] | None:
    if terms.expires_at is not None and read.time >= terms.expires_at:
        return "read-after-expiry", f"the agreement expired at {terms.expires_at}"
    if read.purpose != terms.purpose:
        return "read-for-another-purpose", f"agreed was {terms.purpose}"
    beyond = sorted(set(read.collections) - terms.collections)
    if beyond:
        return "read-outside-collections", f"not agreed: {', '.join(beyond)}"
    return None
