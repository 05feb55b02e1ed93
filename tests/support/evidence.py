"""A log in memory and the story it tells: what bundle and receipt tests start from."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from consent.formats import merkle, receipt
from consent.formats.bundle import BundleEntry, ConsistencyProof, Hints, PrivateOpening, assemble
from consent.formats.canonical import canonical_bytes, sha256_hex
from consent.formats.checkpoint import Checkpoint, sign_checkpoint
from consent.formats.leaf import PublicOpening, PublicPart, commit
from consent.formats.note import Signer
from consent.formats.proof import Proof
from consent.formats.receipt_facts import ReceiptKind
from consent.formats.trust import Trust
from tests.support.receipt_samples import ORIGIN, receipt_facts

GRANT_STREAM = "g." + "0" * 32
VAULT_STREAM = "v." + "1" * 32
GRANT = "6f1c1f1e-0000-4000-8000-0000000000dd"
CLIENT = "6f1c1f1e-0000-4000-8000-0000000000ee"
PURPOSE = "service_provision"
TERMS = {
    "id": "6f1c1f1e-0000-4000-8000-0000000000cc",
    "attributes": ["contact.email", "profile.given_name"],
    "purpose": PURPOSE,
    "expires_at": "2026-03-31T12:00:00Z",
}
AGREEMENT = sha256_hex(TERMS)


@dataclass
class MemoryLog:
    """An append-only log with its keys; blindings are numbers, so that tests repeat."""

    signer: Signer = field(default_factory=lambda: Signer(ORIGIN, _key(1)))
    receipt_key: Ed25519PrivateKey = field(default_factory=lambda: _key(2))
    entries: list[bytes] = field(default_factory=list)
    events: list[tuple[PublicOpening, PrivateOpening]] = field(default_factory=list)
    receipts: list[dict] = field(default_factory=list)
    agreements: list[dict] = field(default_factory=lambda: [TERMS])
    _seqs: Counter = field(default_factory=Counter)

    def add(self, event, *, stream=GRANT_STREAM, time="2026-03-01T12:00:00Z", priv=None, **members):
        """Append an event of the grant (or another stream) and return its public part."""
        self._seqs[stream] += 1
        if stream == GRANT_STREAM:
            members = {"grant": GRANT, "client": CLIENT, "agreement_sha256": AGREEMENT} | members
        pub = PublicPart(event, time, stream, self._seqs[stream], **members)
        number = len(self.entries)
        r_pub, r_priv = bytes([1, number % 256, number // 256]), bytes([2, number % 256])
        r_pub, r_priv = r_pub.ljust(32, b"p"), r_priv.ljust(32, b"q")
        priv = {"vault": "v1"} if priv is None else priv
        leaf = commit(pub, priv, r_pub=r_pub, r_priv=r_priv)
        self.entries.append(leaf.entry)
        opening = PublicOpening(pub, r_pub, leaf.c_priv)
        self.events.append((opening, PrivateOpening(priv, r_priv)))
        return pub

    def read(self, time="2026-03-02T12:00:00Z", **members):
        """Append a permitted read, or one that `members` make forbidden."""
        defaults = {"collections": ("contact",), "purpose": PURPOSE, "count": 1}
        return self.add("data.read", time=time, **(defaults | members))

    def issue(self, kind=ReceiptKind.GIVEN, *, seq=1, number=1, **facts):
        """Sign a receipt that cites the grant's stream."""
        facts = {"agreement_sha256": AGREEMENT, "stream": GRANT_STREAM, "seq": seq} | facts
        identifier = f"6f1c1f1e-0000-4000-8000-{number:012x}"
        built = receipt.build(receipt_facts(kind, receipt_id=identifier, **facts))
        self.receipts.append(receipt.sign(built, self.receipt_key, "receipts-1"))
        return self.receipts[-1]

    def leaves(self, size=None):
        return [merkle.leaf_hash(entry) for entry in self.entries[:size]]

    def checkpoint(self, size=None, signers=()):
        """Return the signed checkpoint of the first `size` entries."""
        leaves = self.leaves(size)
        checkpoint = Checkpoint(self.signer.name, len(leaves), merkle.root(leaves))
        return sign_checkpoint(checkpoint, [self.signer, *signers])

    def hints(self):
        public = self.receipt_key.public_key().public_bytes_raw()
        return Hints((self.signer.verifier.to_text(),), {"receipts-1": public})

    def trust(self, **fields):
        hints = self.hints()
        keys = {"log_keys": (self.signer.verifier,), "receipt_keys": hints.receipt_keys}
        return Trust(**(keys | fields))

    def consistency(self, old_size, new_size=None):
        leaves = self.leaves(new_size)
        proof = merkle.consistency_proof(merkle.leaves_reader(leaves), old_size, len(leaves))
        return ConsistencyProof(old_size, len(leaves), tuple(proof))

    def bundle(self, indexes=None, *, private=False, checkpoint=None, consistency=()):
        """Assemble a bundle of these entries, or of all."""
        read, size = merkle.leaves_reader(self.leaves()), len(self.entries)
        chosen = range(size) if indexes is None else indexes
        return assemble(
            origin=ORIGIN,
            checkpoint=checkpoint or self.checkpoint(),
            entries=[
                BundleEntry(
                    index,
                    tuple(merkle.inclusion_proof(read, index, size)),
                    self.events[index][0],
                    self.events[index][1] if private else None,
                )
                for index in chosen
            ],
            receipts=self.receipts,
            agreements=self.agreements,
            consistency=consistency,
            hints=self.hints(),
        )

    def proof(self, index):
        """Return the tlog-proof that goes beside a receipt of the event at `index`."""
        read, size = merkle.leaves_reader(self.leaves()), len(self.entries)
        hashes = tuple(merkle.inclusion_proof(read, index, size))
        extra = canonical_bytes(self.events[index][0].to_dict())
        return Proof(index, hashes, self.checkpoint(), extra).to_text()


def story():
    """Return a log of one consent: requested, given, read twice, withdrawn; a vault beside it."""
    log = MemoryLog()
    log.add("vault.created", stream=VAULT_STREAM)
    log.add("consent.given")
    log.add("token.issued")
    log.add("vault.unlocked", stream=VAULT_STREAM)
    log.read()
    log.read("2026-03-03T12:00:00Z", collections=("contact", "profile"))
    log.add("consent.withdrawn", time="2026-03-04T12:00:00Z")
    log.add("data.read_denied", time="2026-03-04T12:01:00Z", outcome="consent-withdrawn")
    log.issue(ReceiptKind.GIVEN, seq=1, number=1)
    log.issue(ReceiptKind.WITHDRAWN, seq=5, number=2)
    return log


def _key(number):
    return Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32)
