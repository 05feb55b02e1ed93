"""The checks of an evidence bundle, in order; each one goes on after the others' failures.

1. the checkpoint: signature, origin, witnesses; 2. its consistency with a pinned one; 3. the
manifest; 4. each entry's place in the log, and its private opening, or where it was erased its
leaf alone, which is noticed; 5. streams without gaps; 6. agreements by hash; 7. receipts by
signature and citation; 8. what the events mean; 9. what organisations owe and have not answered,
which is noticed and fails nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from consent.formats import receipt as receipts
from consent.formats.bundle import Bundle, BundleEntry, ErasedEntry, StreamRange
from consent.formats.canonical import sha256_hex
from consent.formats.checkpoint import Checkpoint
from consent.formats.epochs import is_same_or_later
from consent.formats.errors import VerificationError
from consent.formats.leaf import PublicOpening, PublicPart, commitment
from consent.formats.meaning import ENDS, READ, ReadCheck, Terms
from consent.formats.merkle import leaf_hash, verify_consistency, verify_inclusion
from consent.formats.note import Verifier
from consent.formats.obligation_check import OVERDUE, ObligationCheck
from consent.formats.report import Findings
from consent.formats.trust import Trust

Progress = Callable[[int, int], None]

_PROGRESS_EVERY = 100


@dataclass(slots=True)
class BundleChecks:
    """One verification of one bundle."""

    bundle: Bundle
    trust: Trust
    findings: Findings
    now: str | None = None
    _log_keys: tuple[Verifier, ...] = ()
    _events: dict[tuple[str, int], PublicOpening] = field(default_factory=dict)
    _labels: dict[tuple[str, int], str] = field(default_factory=dict)
    _erased: set[tuple[str, int]] = field(default_factory=set)

    def run(self, progress: Progress) -> None:
        """Run every check, noting what is found."""
        self._log_keys = self.trust.log_keys or self._hinted_keys()
        checkpoint = self._check_checkpoint()
        self._check_pinned(checkpoint)
        self._check_manifest()
        self._check_entries(checkpoint, progress)
        self._check_erased(checkpoint)
        self._check_streams()
        terms = self._check_agreements()
        cited = self._check_receipts()
        self._check_meaning(terms)
        self._check_obligations(cited)

    def _hinted_keys(self) -> tuple[Verifier, ...]:
        with self.findings.attempt("hints.vkeys", "malformed"):
            return tuple(Verifier.from_text(vkey) for vkey in self.bundle.hints.vkeys)
        return ()

    def _check_checkpoint(self) -> Checkpoint | None:
        checkpoint = None
        with self.findings.check("checkpoint") as say:
            with self.findings.attempt("checkpoint", "checkpoint-signature"):
                checkpoint = self.trust.open(self.bundle.checkpoint, self._log_keys)
                say(f"{checkpoint.origin}, size {checkpoint.size}")
            if checkpoint is not None and checkpoint.origin != self.bundle.origin:
                self.findings.fail("origin", "origin", f"the checkpoint is {checkpoint.origin}'s")
        return checkpoint

    def _check_pinned(self, checkpoint: Checkpoint | None) -> None:
        pinned = self.trust.pinned
        if pinned is None or checkpoint is None:
            self.findings.skip("consistency", "no earlier checkpoint to compare with")
            return
        rule = "pinned-checkpoint"
        with self.findings.check("consistency") as say, self.findings.attempt("checkpoint", rule):
            # The pin is a note like any other: it counts only if the log signed it.
            earlier = Trust().open(pinned, self._log_keys)
            old, new = sorted((earlier, checkpoint), key=lambda each: each.size)
            verify_consistency(
                old_size=old.size,
                old_root=old.root,
                new_size=new.size,
                new_root=new.root,
                proof=self._consistency_proof(old.size, new.size),
            )
            say(f"size {new.size} extends size {old.size}")

    def _consistency_proof(self, old_size: int, new_size: int) -> tuple[bytes, ...]:
        if old_size in {0, new_size}:
            return ()
        for proof in self.bundle.consistency:
            if (proof.old_size, proof.new_size) == (old_size, new_size):
                return proof.hashes
        raise VerificationError(f"no proof in the bundle from size {old_size} to size {new_size}")

    def _check_manifest(self) -> None:
        manifest, bundle = self.bundle.manifest, self.bundle
        with self.findings.check("manifest"):
            if manifest.entries != len(bundle.entries):
                counted = f"{manifest.entries} counted, {len(bundle.entries)} there"
                self.findings.fail("entries", "manifest", counted)
            if manifest.erased != len(bundle.erased):
                counted = f"{manifest.erased} counted, {len(bundle.erased)} there"
                self.findings.fail("erased", "manifest", counted)
            held = [str(receipt.get("dct:identifier")) for receipt in bundle.receipts]
            self._compare("receipts", manifest.receipts, held)
            self._compare("agreements", manifest.agreements, [a.sha256 for a in bundle.agreements])

    def _compare(self, where: str, listed: Sequence[str], held: Sequence[str]) -> None:
        for name in sorted(set(listed) - set(held)):
            self.findings.fail(f"{where} {name}", "manifest", "listed, but not there")
        for name in sorted(set(held) - set(listed)):
            self.findings.fail(f"{where} {name}", "manifest", "there, but not listed")
        if set(listed) == set(held) and list(listed) != list(held):
            self.findings.fail(where, "manifest", "not in the order listed, or there twice")

    def _check_entries(self, checkpoint: Checkpoint | None, progress: Progress) -> None:
        entries = self.bundle.entries
        if checkpoint is None:
            self.findings.skip("inclusion", "there is no checkpoint to lead to")
        with self.findings.check("entries") as say:
            before = -1
            for at, entry in enumerate(entries):
                where = _entry_label(at, entry)
                if entry.index <= before:
                    self.findings.fail(where, "entry-order", f"index {entry.index} after {before}")
                before = entry.index
                self._check_entry(entry, where, checkpoint)
                if at % _PROGRESS_EVERY == 0:
                    progress(at, len(entries))
            progress(len(entries), len(entries))
            opened = sum(entry.private is not None for entry in entries)
            place = "not looked for in the log" if checkpoint is None else "in the log as opened"
            say(f"{len(entries)} {place}, {opened} with their private part")

    def _check_entry(self, entry: BundleEntry, where: str, checkpoint: Checkpoint | None) -> None:
        pub = entry.event.pub
        if (pub.stream, pub.seq) in self._events:
            self.findings.fail(where, "stream-repeat", "a number stands for one event")
        self._events[pub.stream, pub.seq] = entry.event
        self._labels[pub.stream, pub.seq] = where
        with self.findings.attempt(where, "inclusion"):
            if checkpoint is not None:
                verify_inclusion(
                    leaf_hash(entry.event.entry()),
                    index=entry.index,
                    size=checkpoint.size,
                    proof=entry.leaf_proof,
                    root=checkpoint.root,
                )
        private = entry.private
        if private is not None and commitment(private.priv, private.r_priv) != entry.event.c_priv:
            self.findings.fail(where, "private-opening", "the entry commits to something else")

    def _check_erased(self, checkpoint: Checkpoint | None) -> None:
        if not self.bundle.erased:
            return
        opened = {entry.index for entry in self.bundle.entries}
        said: dict[tuple[str, str], list[int]] = {}
        with self.findings.check("erased") as say:
            before = -1
            for at, entry in enumerate(self.bundle.erased):
                where = f"erased[{at}] index {entry.index} {entry.stream}/{entry.seq}"
                if entry.index <= before or entry.index in opened:
                    self.findings.fail(where, "entry-order", "a place holds one entry")
                before = entry.index
                number = entry.stream, entry.seq
                if number in self._events or number in self._erased:
                    self.findings.fail(where, "stream-repeat", "a number stands for one event")
                self._erased.add(number)
                said.setdefault((entry.stream, entry.rule), []).append(entry.seq)
                self._check_leaf(entry, where, checkpoint)
            say(f"{len(self.bundle.erased)} in the log; nobody can say any more what they were")
        for (stream, rule), seqs in sorted(said.items()):
            where = f"{stream}/{min(seqs)}" + f" to {max(seqs)}" * (len(seqs) > 1)
            self.findings.notice(where, "entry-erased", f"{len(seqs)} erased by the rule {rule}")

    def _check_leaf(self, entry: ErasedEntry, where: str, checkpoint: Checkpoint | None) -> None:
        with self.findings.attempt(where, "inclusion"):
            if checkpoint is not None:
                verify_inclusion(
                    entry.leaf_hash,
                    index=entry.index,
                    size=checkpoint.size,
                    proof=entry.leaf_proof,
                    root=checkpoint.root,
                )

    def _check_streams(self) -> None:
        numbers: dict[str, list[int]] = {}
        for stream, seq in sorted({*self._events, *self._erased}):
            numbers.setdefault(stream, []).append(seq)
        with self.findings.check("streams") as say:
            declared = {each.stream: each for each in self.bundle.streams}
            if len(declared) != len(self.bundle.streams):
                self.findings.fail("streams", "stream-repeat", "a stream is declared twice")
            for stream, held in numbers.items():
                if stream not in declared:
                    name = f"{stream}/{held[0]}"
                    self.findings.fail(name, "stream-undeclared", "its stream is not declared")
            for each in declared.values():
                self._check_range(each, numbers.get(each.stream, []))
            say(f"{len(declared)} without gaps")

    def _check_range(self, declared: StreamRange, held: Sequence[int]) -> None:
        expected = declared.first
        for seq in held:
            if not declared.first <= seq <= declared.last:
                name = f"{declared.stream}/{seq}"
                self.findings.fail(name, "stream-undeclared", "outside the range declared")
                continue  # it stands for no number that is declared
            if seq > expected:
                self._fail_gap(declared.stream, expected, seq - 1)
            expected = seq + 1
        if expected <= declared.last:
            self._fail_gap(declared.stream, expected, declared.last)

    def _fail_gap(self, stream: str, first: int, last: int) -> None:
        name = f"{stream}/{first}" if first == last else f"{stream}/{first} to {last}"
        self.findings.fail(name, "stream-gap", "missing")

    def _check_agreements(self) -> dict[str, Terms]:
        terms = {}
        with self.findings.check("agreements") as say:
            for at, each in enumerate(self.bundle.agreements):
                where = f"agreements[{at}] {each.sha256}"
                if sha256_hex(each.terms) != each.sha256:
                    self.findings.fail(where, "agreement-hash", "the terms have another hash")
                with self.findings.attempt(where, "agreement-form"):
                    terms[each.sha256] = Terms.from_document(each.terms, "terms")
            say(f"{len(terms)} by their hashes")
        return terms

    def _check_receipts(self) -> list[receipts.Citation]:
        keys = self.trust.receipt_keys or self.bundle.hints.receipt_keys
        signed = []
        with self.findings.check("receipts") as say:
            for at, receipt in enumerate(self.bundle.receipts):
                where = f"receipts[{at}] {receipt.get('dct:identifier')}"
                with self.findings.attempt(where, "receipt-form"):
                    cited = receipts.citation(receipt)
                    self._check_citation(cited, where)
                    with self.findings.attempt(where, "receipt-signature"):
                        receipts.verify(receipt, keys)
                        signed.append(cited)
            say(f"{len(self.bundle.receipts)} signed, their events in the log")
        return signed

    def _check_citation(self, cited: receipts.Citation, where: str) -> None:
        event = self._events.get((cited.log.stream, cited.log.seq))
        if event is None:
            missing = f"its event {cited.log.stream}/{cited.log.seq} is not in the bundle"
            self.findings.fail(where, "receipt-citation", missing)
        else:
            check_citation(cited, self.bundle.origin, event.pub, self.findings, where)

    def _check_meaning(self, terms: Mapping[str, Terms]) -> None:
        with self.findings.check("meaning") as say:
            check = ReadCheck(terms)
            events = [self._events[place].pub for place in sorted(self._events)]
            for event, rule, detail in check.feed(events):
                self.findings.fail(self._labels[event.stream, event.seq], rule, detail)
            reads = sum(event.event == READ for event in events)
            say(f"{reads} reads, each inside a consent alive at the time")

    def _check_obligations(self, cited: Sequence[receipts.Citation]) -> None:
        events = [self._events[place].pub for place in sorted(self._events)]
        newest = max((event.time for event in events), default="")
        with self.findings.check("obligations") as say:
            check = ObligationCheck(self.now or newest)
            for each in check.check(cited, events, ENDS):
                where = self._labels.get(each.event, "{}/{}".format(*each.event))
                self.findings.notice(where, each.rule, each.detail)
            overdue = sum(each.rule == OVERDUE for each in self.findings.notices)
            say(f"{check.owed} owed, {overdue} of them overdue at {check.now}")


def check_citation(
    cited: receipts.Citation, origin: str, event: PublicPart, findings: Findings, where: str
) -> None:
    """Compare what a receipt cites with an event and the origin of the log that holds it."""
    rule = "receipt-citation"
    if not is_same_or_later(origin, than=cited.log.origin):
        findings.fail(where, rule, f"it cites the log {cited.log.origin}, not {origin}")
    if (event.stream, event.seq) != (cited.log.stream, cited.log.seq):
        findings.fail(where, rule, f"the proof is of {event.stream}/{event.seq}")
    if event.event != cited.kind.event:
        findings.fail(where, rule, f"the log has {event.event} there")
    if event.agreement_sha256 != cited.agreement_sha256:
        findings.fail(where, rule, "the log has another agreement there")


def _entry_label(at: int, entry: BundleEntry) -> str:
    """Name an entry by its place in the bundle, in the log and in its stream."""
    pub = entry.event.pub
    return f"entries[{at}] index {entry.index} {pub.stream}/{pub.seq} {pub.event}"
