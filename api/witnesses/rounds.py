"""Asking witnesses for cosignatures, beside the worker's other tasks: a thread for each (LOG-5).

Whoever answers slowly waits for itself: as soon as those that have cosigned are enough, the
checkpoint is published. Nothing of it happens inside a transaction.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import suppress

from sqlalchemy.orm import Session

from api.wiring import Wiring
from api.witnesses.asking import Cosigned, Elsewhere, Witness, WitnessUnavailableError
from consent.errors import LogHaltedError
from consent.formats.checkpoint import open_checkpoint
from consent.formats.merkle import consistency_proof
from consent.formats.witnessing import AddCheckpoint
from consent.log import facts, publication, reader
from pds.errors import NotFoundError

UnderLease = Callable[[Callable[[Session], object]], object]

FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 30.0
FAILING_AFTER = 3  # tries

_logger = logging.getLogger(__name__)


class Correspondence:
    """The exchange with one witness; remembers what it saw last, which a conflict tells anew."""

    def __init__(self, wiring: Wiring, witness: Witness) -> None:
        self.witness = witness
        self._wiring = wiring
        self._log_key = wiring.log_signer.verifier
        self._seen_size = 0

    def ask(self, under_lease: UnderLease) -> bool:
        """Have the newest checkpoint cosigned, unless it is; tell whether something was asked.

        Raises:
            WitnessUnavailableError: there was no answer that means anything.
        """
        for _ in range(2):  # once more, after a conflict has told the size
            found = self._request()
            if found is None:
                return False
            size, request = found
            answer = self.witness.add(request)
            if isinstance(answer, Cosigned):
                self._seen_size = size
                self._keep(size, answer.line, under_lease)
                return True
            if not isinstance(answer, Elsewhere):
                break
            self._seen_size = answer.size
        # It knows a larger tree, or another one: if it shows our signature on that, we must stop.
        self.look(under_lease)
        raise WitnessUnavailableError("it does not cosign our tree, and shows no other one of ours")

    def look(self, under_lease: UnderLease) -> None:
        """Halt the log if the witness holds a checkpoint of ours that our tree contradicts.

        Raises:
            LogHaltedError: it does.
            WitnessUnavailableError: there was no answer.
        """
        note = self.witness.latest()
        if note is None:
            return
        with self._wiring.uow.read() as session:
            reason = publication.contradiction(session, note, log_key=self._log_key)
        if reason is not None:
            told = f"{self.witness.name} knows that {reason}"
            under_lease(lambda session: publication.halt(session, self._log_key.name, told))
            self._wiring.uow.halt(told)
            raise LogHaltedError(told)

    def _request(self) -> tuple[int, AddCheckpoint] | None:
        """Return what to ask, with the tree's size; None if this witness has cosigned it."""
        key = self.witness.known.key
        with self._wiring.uow.read() as session:
            try:
                tree = reader.tree_to_cosign(session)
                if tree.checkpoint.size < self._seen_size:
                    tree = reader.newest_tree(session)
            except NotFoundError:
                return None
            size = tree.checkpoint.size
            opened = open_checkpoint(tree.note, log_keys=[self._log_key], witnesses=[key])
            if len(opened.note.signatures) > 1:
                return None
            old = min(self._seen_size, size)
            proof = tuple(consistency_proof(tree.read, old, size))
        return size, AddCheckpoint(old, proof, tree.note)

    def _keep(self, size: int, line: str, under_lease: UnderLease) -> None:
        policy = self._wiring.witness_policy
        if policy is not None:
            under_lease(
                lambda session: publication.add_cosignature(
                    session, size, line, log_key=self._log_key, policy=policy
                )
            )


class Rounds:
    """A thread for each witness; they work while this process holds the worker's lease."""

    def __init__(
        self, wiring: Wiring, under_lease: UnderLease, *, holds_lease: Callable[[], bool]
    ) -> None:
        self._wiring = wiring
        self.correspondences = [Correspondence(wiring, each) for each in wiring.witnesses]
        self._under_lease = under_lease
        self._holds_lease = holds_lease
        self._stopping = threading.Event()
        self._pause_seconds = wiring.settings.log.interval_ms / 1000
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Begin."""
        for each in self.correspondences:
            name = f"pds-witness-{each.witness.name}"
            thread = threading.Thread(target=self._run, args=(each,), name=name, daemon=True)
            thread.start()
            self._threads.append(thread)

    def stop(self) -> None:
        """End after the exchange at hand."""
        self._stopping.set()
        for thread in self._threads:
            thread.join()
        self._threads = []

    def ask_all(self) -> None:
        """Ask each witness once, one after the other; raises what `Correspondence.ask` raises."""
        for each in self.correspondences:
            each.ask(self._under_lease)

    def _run(self, correspondence: Correspondence) -> None:
        pause, said, failures = self._pause_seconds, "", 0
        is_settled = False  # whoever had the lease before may have told of a failure
        while not self._stopping.wait(pause):
            if not self._holds_lease():
                continue
            try:
                correspondence.ask(self._under_lease)
            except Exception as exc:  # noqa: BLE001 - the edge of a thread: it tries again
                # Only our own messages: others may quote.
                ours = isinstance(exc, WitnessUnavailableError | LogHaltedError)
                what = str(exc) if ours else type(exc).__name__
                if what != said:
                    _logger.error(  # noqa: TRY400 - no trace: it may quote
                        "witness %s: %s", correspondence.witness.name, what
                    )
                said, failures = what, failures + 1
                if failures >= FAILING_AFTER:
                    self._note(correspondence, fails=True)
                    is_settled = False
                pause = min(max(2 * pause, FIRST_PAUSE_SECONDS), LONGEST_PAUSE_SECONDS)
            else:
                if not is_settled:
                    self._note(correspondence, fails=False)
                    is_settled = True
                pause, said, failures = self._pause_seconds, "", 0

    def _note(self, correspondence: Correspondence, *, fails: bool) -> None:
        # What the log said last decides: a try that fails like the one before says nothing new.
        wiring, name = self._wiring, correspondence.witness.name
        now = wiring.clock.now()
        with suppress(Exception):  # the lease may be over: whoever has it now tells of it
            self._under_lease(
                lambda session: facts.note_witness(session, wiring.log, name, fails=fails, now=now)
            )
