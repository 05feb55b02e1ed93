"""Offline verification of receipts, bundles and log growth (LOG-25, LOG-26, P-34).

Keys come from the caller, in a `Trust`. Those that a bundle carries are used only where the caller
gave none, and then the best verdict is SELF_CONSISTENT_ONLY: whoever forged a bundle would have
signed it too. What no bundle can show: that nothing was left out at its ends, or never logged
(P-33).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from consent.formats import receipt as receipts
from consent.formats.bundle import Bundle
from consent.formats.bundle_checks import BundleChecks, Progress, check_citation
from consent.formats.canonical import parse
from consent.formats.checkpoint import Checkpoint, open_checkpoint
from consent.formats.errors import VerificationError
from consent.formats.leaf import PublicOpening, PublicPart
from consent.formats.merkle import leaf_hash, verify_consistency, verify_inclusion
from consent.formats.note import Verifier
from consent.formats.proof import Proof
from consent.formats.report import Findings, Report
from consent.formats.trust import Trust
from consent.formats.vault_rows import OpenedEvent, Row, VersionRow, compare_rows


def verify_bundle(
    data: bytes, trust: Trust, *, now: str | None = None, progress: Progress | None = None
) -> Report:
    """Verify an evidence bundle; the report names everything that is wrong.

    Args:
        data: the file.
        trust: what the caller trusts beforehand.
        now: RFC 3339 in UTC; what an organisation owed before and did not answer is overdue. None:
            the time of the newest entry.
        progress: called with (entries done, entries in all) now and then.
    """
    findings = Findings()
    bundle = check_bundle(data, trust, findings, now=now, progress=progress)
    return findings.report(trusted=has_own_keys(bundle, trust))


def check_bundle(
    data: bytes,
    trust: Trust,
    findings: Findings,
    *,
    now: str | None = None,
    progress: Progress | None = None,
) -> Bundle | None:
    """Verify a bundle into `findings`, for reports that hold more than it; None: it is none."""
    bundle = None
    with findings.check("form") as say, findings.attempt("bundle", "malformed"):
        bundle = Bundle.from_bytes(data)
        say(f"{len(bundle.entries)} entries, {len(bundle.receipts)} receipts")
    if bundle is not None:
        BundleChecks(bundle, trust, findings, now).run(progress or _no_progress)
    return bundle


def has_own_keys(bundle: Bundle | None, trust: Trust) -> bool:
    """Tell whether every key that a bundle was verified with came from the caller."""
    if bundle is None:
        return False
    return bool(trust.log_keys) and (bool(trust.receipt_keys) or not bundle.receipts)


def verify_vault(
    data: bytes,
    trust: Trust,
    rows: Iterable[Row],
    versions: Iterable[VersionRow],
    *,
    stream: str,
    waiting: Iterable[OpenedEvent] | None,
    now: str | None = None,
    progress: Progress | None = None,
    row_progress: Callable[[int], None] | None = None,
) -> Report:
    """Verify an owner's evidence, and compare the rows of their vault with what it tells.

    Args:
        data: an evidence bundle with the private parts of the vault's own stream opened.
        trust: what the caller trusts beforehand.
        rows: every row of the vault's records, tombstones included.
        versions: every row of a superseded version.
        stream: the name of the vault's own stream.
        waiting: the stream's events after the bundle, up to now, which no checkpoint has yet; None:
            the bundle is of an earlier day, and rows may be newer than it.
        now: as for `verify_bundle`.
        progress: as for `verify_bundle`.
        row_progress: called with the number of rows compared now and then.
    """
    findings = Findings()
    bundle = check_bundle(data, trust, findings, now=now, progress=progress)
    if bundle is not None:
        later = list(waiting or ())
        everything = list(_opened(bundle))
        events = [each for each in everything if each.pub.stream == stream]
        events.sort(key=lambda event: event.pub.seq)
        last = events[-1].pub.seq if events else 0
        with findings.check("rows") as say:
            for seq, event in enumerate(later, start=last + 1):
                if event.pub.seq != seq:
                    findings.fail(f"{stream}/{seq}", "stream-gap", "missing")
                    break
            done = compare_rows(
                [*events, *later],
                rows,
                versions,
                findings,
                elsewhere=[each for each in everything if each.pub.stream != stream],
                is_newest=waiting is not None,
                progress=row_progress or _no_row_progress,
            )
            say(f"{done} as the log tells, {len(later)} events of it not signed yet")
    return findings.report(trusted=has_own_keys(bundle, trust))


def verify_receipt(receipt: object, sidecar: str | None, trust: Trust) -> Report:
    """Verify a signed consent receipt and, where it has come, its proof of inclusion.

    Args:
        receipt: the JSON object.
        sidecar: the tlog-proof, whose `extra` is the event's opening; None if there is none yet.
        trust: `receipt_keys` for the receipt, `log_keys` for the proof.
    """
    findings = Findings()
    cited = None
    with findings.check("form"), findings.attempt("receipt", "receipt-form"):
        cited = receipts.citation(receipt)
    if cited is None:
        return findings.report(trusted=False)
    if trust.receipt_keys:
        with findings.check("signature"), findings.attempt("receipt", "receipt-signature"):
            receipts.verify(receipt, trust.receipt_keys)
    else:
        findings.skip("signature", "no receipt key was given")
    if sidecar is None:
        findings.skip("log", "no proof of inclusion is at hand yet")
    elif not trust.log_keys:
        findings.skip("log", "no log key was given")
    else:
        with findings.check("log"), findings.attempt("proof", "inclusion"):
            origin, event = _logged_event(Proof.from_text(sidecar), trust)
            check_citation(cited, origin, event, findings, "receipt")
    checked_all = bool(trust.receipt_keys) and (sidecar is None or bool(trust.log_keys))
    return findings.report(trusted=checked_all)


def verify_log_extension(
    old_checkpoint: str, new_checkpoint: str, consistency_proof: Sequence[bytes], vkey: Verifier
) -> Checkpoint:
    """Check that a log has only grown between two checkpoints; return the new one.

    Args:
        old_checkpoint: the signed note seen before.
        new_checkpoint: the signed note seen now.
        consistency_proof: hashes of 32 bytes (RFC 6962 section 2.1.2).
        vkey: the log's key.

    Raises:
        MalformedError: a note is no checkpoint, or a hash has another length.
        VerificationError: a signature is wrong, the logs differ, or the new tree does not extend
            the old one.
    """
    old = open_checkpoint(old_checkpoint, log_keys=[vkey]).checkpoint
    new = open_checkpoint(new_checkpoint, log_keys=[vkey]).checkpoint
    verify_consistency(
        old_size=old.size,
        old_root=old.root,
        new_size=new.size,
        new_root=new.root,
        proof=consistency_proof,
    )
    return new


def _logged_event(proof: Proof, trust: Trust) -> tuple[str, PublicPart]:
    if proof.extra is None:
        raise VerificationError("the proof does not open its entry")
    event = PublicOpening.from_dict(parse(proof.extra), "extra")
    checkpoint = trust.open(proof.checkpoint, trust.log_keys)
    verify_inclusion(
        leaf_hash(event.entry()),
        index=proof.index,
        size=checkpoint.size,
        proof=proof.hashes,
        root=checkpoint.root,
    )
    return checkpoint.origin, event.pub


def _opened(bundle: Bundle) -> Iterator[OpenedEvent]:
    for entry in bundle.entries:
        private = entry.private
        yield OpenedEvent(entry.event.pub, None if private is None else private.priv)


def _no_row_progress(_done: int) -> None:
    pass


def _no_progress(_done: int, _total: int) -> None:
    pass
