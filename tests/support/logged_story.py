"""A logged story in a store: two people, consents, reads, a withdrawal, receipts."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from consent.formats import receipt
from consent.formats.bundle import Hints
from consent.formats.canonical import canonical_bytes
from consent.formats.receipt_facts import ReceiptKind
from consent.formats.trust import Trust
from consent.log.entries import EventLog
from consent.log.vaults import VaultLog
from consent.models import Receipt
from pds.clock import SystemClock
from pds.events import VaultEvent
from pds.ids import random_uuid
from tests.support.events import START, Person, Shared, add_grant, add_person, log_event
from tests.support.receipt_samples import receipt_facts
from tests.support.trees import Sequencer

KEY_ID = "receipts-1"


@dataclass
class Story:
    """Who is in it, and the keys that a verifier pins."""

    store: object
    sequencer: Sequencer
    events: EventLog = field(default_factory=lambda: EventLog(SystemClock()))
    receipt_key: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)
    people: list[Person] = field(default_factory=list)
    grants: list[Shared] = field(default_factory=list)

    def log(self, shared: Shared, name: str, **more):
        """Write one event of a grant."""
        return self.store.uow.write(
            lambda session: log_event(session, shared, self.events, name, **more)
        )

    def read(self, shared: Shared, *, day: int = 1, **more):
        """Write a permitted read, or one that `more` makes forbidden."""
        more = {"collections": ("contact",), "count": 1} | more
        return self.log(shared, "data.read", at=START + timedelta(days=day), **more)

    def unlock(self, person: Person) -> None:
        """Write an event of a vault's own stream."""
        entry = VaultEvent("vault.unlocked", START, private={"address": "192.0.2.7"})
        sink = VaultLog(self.events)
        self.store.uow.write(lambda session: sink.append(session, person.ref, entry))

    def consent(self, person: Person, **more) -> Shared:
        """Give consent and issue its receipt."""
        shared = add_grant(self.store.uow, person, **more)
        self.grants.append(shared)
        given = self.log(shared, "consent.given", at=START)
        self.issue(shared, given, ReceiptKind.GIVEN)
        return shared

    def withdraw(self, shared: Shared, *, day: int) -> None:
        """End it and issue the receipt."""
        ended = self.log(shared, "consent.withdrawn", at=START + timedelta(days=day))
        self.issue(shared, ended, ReceiptKind.WITHDRAWN)

    def issue(self, shared: Shared, reference, kind: ReceiptKind) -> None:
        """Sign a receipt and keep it."""
        identifier = random_uuid()
        facts = receipt_facts(
            kind,
            stream=reference.stream,
            seq=reference.seq,
            agreement_sha256=shared.agreement_sha256,
            receipt_id=str(identifier),
        )
        signed = receipt.sign(receipt.build(facts), self.receipt_key, KEY_ID)
        row = Receipt(
            bucket=shared.bucket,
            id=identifier,
            vault_id=shared.vault_id,
            request_id=random_uuid(),
            agreement_id=shared.agreement_id,
            kind=kind.value,
            document=canonical_bytes(signed),
            stream=reference.stream,
            stream_seq=reference.seq,
            created_at=START,
        )
        self.store.uow.write(lambda session: session.add(row))

    def hints(self) -> Hints:
        """Return the keys as a bundle carries them along."""
        public = self.receipt_key.public_key().public_bytes_raw()
        return Hints((self.sequencer.signer.verifier.to_text(),), {KEY_ID: public})

    def trust(self, **more) -> Trust:
        """Return the keys as a verifier pins them."""
        keys = {
            "log_keys": (self.sequencer.signer.verifier,),
            "receipt_keys": self.hints().receipt_keys,
        }
        return Trust(**(keys | more))


def tell(store) -> Story:
    """Write the story and place all of it in the tree."""
    story = Story(store, Sequencer(store.uow))
    story.people = [add_person(store.uow) for _ in range(2)]
    ayan, bahar = story.people
    for person in story.people:
        story.unlock(person)
    first = story.consent(ayan)
    for day in range(1, 5):
        story.read(first, day=day)
    story.sequencer.run()
    second = story.consent(ayan, attributes=("contact.phone", "profile.given_name"))
    third = story.consent(bahar, organisation_id=first.organisation_id)
    story.read(second, collections=("profile",))
    story.read(third, count=0)
    story.unlock(ayan)
    story.withdraw(first, day=5)
    story.log(first, "data.read_denied", outcome="consent-withdrawn")
    story.sequencer.run()
    return story
