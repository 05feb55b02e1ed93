"""`verify`: check a receipt, evidence or a whole log from the command line.

    python -m consent.verifier bundle.json --vkey log.vkey --receipt-key keys.jwks
    python -m consent.verifier https://vault.example/log --vkey log.vkey --state verified.json

A file or a folder is checked without any network. Exit status: 0 VERIFIED, 3 SELF_CONSISTENT_ONLY
(no key was given, so a forger could have made it all), 1 FAILED, 2 when the command could not run.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from consent.formats import fields
from consent.formats.canonical import parse
from consent.formats.errors import FormatError
from consent.formats.report import Report
from consent.formats.trust import Trust
from consent.formats.verify import verify_bundle, verify_receipt
from consent.verifier.kept import Kept
from consent.verifier.log_tree import verify_log
from consent.verifier.packs import is_pack, verify_pack
from consent.verifier.showing import in_words, progress_bar
from consent.verifier.sources import Address, Copying, Folder, Source, UnreadableError
from consent.verifier.trusted import read_text, read_trust

USAGE_ERROR = 2

_KEEP_EVERY = 5  # seconds
_INSTANT = "%Y-%m-%dT%H:%M:%SZ"
_RECEIPT_TYPE = "dpv:ConsentReceipt"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status: 0, 1, 2 or 3."""
    arguments = _parser().parse_args(argv)
    try:
        trust = read_trust(
            arguments.vkey,
            arguments.receipt_key,
            arguments.checkpoint,
            arguments.quorum,
            arguments.policy,
        )
        report = _verify(arguments, trust)
    except KeyboardInterrupt:
        sys.stderr.write("\nverify: stopped; with --state the same command goes on from here\n")
        return USAGE_ERROR
    except (OSError, ValueError, UnreadableError) as error:
        sys.stderr.write(f"verify: {error}\n")
        return USAGE_ERROR
    if arguments.json:
        sys.stdout.write(json.dumps(report.to_dict(), indent=2, ensure_ascii=False) + "\n")
    else:
        sys.stdout.write(in_words(report))
    return report.exit_code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="verify",
        description="Check a consent receipt, an evidence bundle or a whole log.",
        epilog="Exit status: 0 verified, 3 self-consistent only, 1 failed, 2 could not run.",
    )
    parser.add_argument(
        "target",
        help="a consent receipt or a pds-bundle/1, as JSON; an evidence pack (.zip); a folder that "
        "a log was copied to; or the address of a log, such as https://vault.example/log",
    )
    parser.add_argument(
        "--vkey",
        action="append",
        default=[],
        metavar="TEXT|FILE",
        help="a key of the log or of a witness, or a file with one key on each line",
    )
    parser.add_argument(
        "--receipt-key", type=Path, metavar="FILE", help="keys of receipts, as JWK set (RFC 7517)"
    )
    parser.add_argument(
        "--checkpoint",
        type=Path,
        metavar="FILE",
        help="a checkpoint seen earlier: the log must have grown from it",
    )
    parser.add_argument(
        "--proof", type=Path, metavar="FILE", help="a receipt's proof of inclusion (.tlog-proof)"
    )
    parser.add_argument(
        "--quorum",
        type=int,
        default=0,
        metavar="N",
        help="how many of the witnesses given by --vkey must have signed (default: 0)",
    )
    parser.add_argument(
        "--policy",
        type=Path,
        metavar="FILE",
        help="logs, witnesses and quorum as a C2SP tlog-policy, instead of --vkey and --quorum",
    )
    parser.add_argument(
        "--state",
        type=Path,
        metavar="FILE",
        help="of a log: keep here what was verified, go on from there the next time, and demand "
        "that the log has grown from it",
    )
    parser.add_argument(
        "--full", action="store_true", help="of a log: read again what --state has verified"
    )
    parser.add_argument(
        "--save", type=Path, metavar="FOLDER", help="of a log: copy what is read to this folder"
    )
    parser.add_argument(
        "--at",
        metavar="INSTANT",
        type=_instant,
        default=time.strftime(_INSTANT, time.gmtime()),
        help="what organisations owed until then and did not answer is shown as overdue "
        "(RFC 3339 in UTC; default: now)",
    )
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    return parser


def _instant(text: str) -> str:
    return fields.instant(text, "--at")


def _verify(arguments: argparse.Namespace, trust: Trust) -> Report:
    source = _log_source(arguments)
    if source is not None:
        return _verify_log(source, trust, arguments)
    if is_pack(Path(arguments.target)):
        progress = progress_bar()
        return verify_pack(Path(arguments.target), trust, now=arguments.at, progress=progress)
    data = Path(arguments.target).read_bytes()
    receipt = _as_receipt(data)
    if receipt is None:
        return verify_bundle(data, trust, now=arguments.at, progress=progress_bar())
    sidecar = None if arguments.proof is None else read_text(arguments.proof)
    return verify_receipt(receipt, sidecar, trust)


def _log_source(arguments: argparse.Namespace) -> Source | None:
    """Return the log that is meant, or None where the target is a file."""
    source: Source | None = None
    if Path(arguments.target).is_dir():
        source = Folder(Path(arguments.target))
    elif "://" in arguments.target:
        source = Address.from_text(arguments.target)
    elif arguments.state or arguments.save or arguments.full:
        raise ValueError("--state, --full and --save are for a log: a folder or an address")
    if source is not None and arguments.save is not None:
        source = Copying(source, arguments.save)
    return source


def _verify_log(source: Source, trust: Trust, arguments: argparse.Namespace) -> Report:
    kept = Kept.read(arguments.state) if arguments.state else None
    if kept is not None and arguments.full:
        kept = Kept(kept.origin, kept.checkpoint)
    keeper = _Keeper(arguments.state)
    try:
        return verify_log(source, trust, kept=kept, progress=progress_bar(), keep=keeper.keep)
    finally:
        # An interrupted run goes on from here the next time.
        keeper.write()
        source.close()


@dataclass(slots=True)
class _Keeper:
    """Writes what is verified to the caller's file: now and then, and at the end."""

    path: Path | None
    _latest: Kept | None = None
    _written_at: float = 0.0

    def keep(self, kept: Kept) -> None:
        self._latest = kept
        if time.monotonic() - self._written_at > _KEEP_EVERY:
            self.write()

    def write(self) -> None:
        if self.path is not None and self._latest is not None:
            self._latest.write(self.path)
        self._written_at = time.monotonic()


def _as_receipt(data: bytes) -> object | None:
    try:
        value = parse(data)
    except FormatError:
        return None  # Left to verify_bundle, which reports it.
    return value if isinstance(value, dict) and value.get("@type") == _RECEIPT_TYPE else None
