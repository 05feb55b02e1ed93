"""The list of invariants, and how it is gone through (CM-13).

Bucket by bucket: what belongs to a vault is in one, so each slice of buckets is whole in itself and
is looked at in a transaction of its own. Memory is bounded by the vaults of a slice; events and
texts are streamed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from consent.invariants import (
    agreements,
    consents,
    feeds,
    grants,
    invitations,
    requests,
    streams,
    wraps,
)
from consent.invariants.scope import Check, Scope
from pds.ids import BUCKETS

VAULTS_AT_ONCE = 1_000


@dataclass(frozen=True, slots=True)
class Invariant:
    """A rule, by the id that people see; `spans_buckets`: it is looked at once for all of them."""

    rule: str
    check: Check
    spans_buckets: bool = False


@dataclass(frozen=True, slots=True)
class Violation:
    """A rule that does not hold: what is wrong, and the ids of the rows to look at."""

    rule: str
    detail: str
    ids: dict[str, str]

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON object."""
        return asdict(self)

    def text(self) -> str:
        """Return one line."""
        ids = ", ".join(f"{name} {each}" for name, each in self.ids.items())
        return f"{self.rule}: {self.detail}" + (f" ({ids})" if ids else "")


INVARIANTS = (
    Invariant("agreement-connection", agreements.has_its_connection),
    Invariant("connection-latest", agreements.connection_names_the_latest),
    Invariant("agreement-versions", agreements.has_every_version),
    Invariant("agreement-text", agreements.text_is_signed),
    Invariant("agreement-end", agreements.end_is_written_down),
    Invariant("agreement-history", consents.history_leads_to_the_state),
    Invariant("consent-logged", consents.event_is_logged),
    Invariant("consent-known", consents.logged_act_is_an_event),
    Invariant("consent-receipt", consents.event_has_its_receipt),
    Invariant("grant-state", grants.lives_with_its_agreement),
    Invariant("grant-one", grants.agreement_has_one),
    Invariant("grant-agreement", grants.is_of_its_agreement),
    Invariant("grant-expiry", grants.ends_with_its_agreement),
    Invariant("grant-ask", grants.agreed_is_within_the_ask),
    Invariant("key-holder", wraps.holder_lives),
    Invariant("key-agreed", wraps.key_is_agreed),
    Invariant("key-grant", wraps.grant_key_is_of_a_grant),
    Invariant("key-unlock", wraps.unlock_is_there),
    Invariant("key-passkey", wraps.passkey_is_there),
    Invariant("request-settled", requests.is_settled_when_decided),
    Invariant("request-agreement", requests.approved_when_agreed),
    Invariant("request-receipt", requests.answer_has_its_receipt),
    Invariant("obligation-owed", agreements.end_is_owed_for),
    Invariant("obligation-answer", agreements.answer_is_kept),
    Invariant("stream-gap", streams.has_no_gap),
    Invariant("stream-counter", streams.ends_at_its_counter),
    Invariant("event-leaf", streams.is_what_its_leaf_says),
    Invariant("event-place", streams.has_one_place_in_the_log),
    Invariant("access-consent", streams.access_lies_in_a_consent),
    Invariant("log-size", streams.tree_is_as_long_as_its_entries, spans_buckets=True),
    Invariant("feed-gap", feeds.has_no_gap, spans_buckets=True),
    Invariant("invitation-holder", invitations.has_one_holder_while_opened, spans_buckets=True),
)


def slices(
    vaults_by_bucket: Iterable[tuple[int, int]], *, at_once: int = VAULTS_AT_ONCE
) -> Iterator[tuple[int, int]]:
    """Yield (first, last) of slices that cover all buckets, none with more vaults than it must.

    Args:
        vaults_by_bucket: (bucket, how many vaults), in order; buckets without any may be left out.
        at_once: vaults of a slice, unless one bucket alone has more.
    """
    first, inside = 0, 0
    for bucket, count in vaults_by_bucket:
        if inside and inside + count > at_once:
            yield first, bucket - 1
            first, inside = bucket, 0
        inside += count
    yield first, BUCKETS - 1


def check(scope: Scope, invariants: Sequence[Invariant]) -> Iterator[Violation]:
    """Yield what breaks the invariants in one slice; those that span all buckets with the first."""
    for each in invariants:
        if each.spans_buckets and scope.first > 0:
            continue
        for found in each.check(scope):
            yield Violation(each.rule, found.detail, dict(found.ids))
