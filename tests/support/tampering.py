"""Evidence with one thing changed, and by what name its verification must call that (LOG-29).

Each way of tampering takes a source of chance and returns a `Tampered`: what was done, the report,
and which failures name it. The honest world is in memory: two people's grants and a vault.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache

from consent.formats import merkle
from consent.formats.canonical import canonical_bytes, parse
from consent.formats.checkpoint import Checkpoint, sign_checkpoint
from consent.formats.note import Signer
from consent.formats.receipt_facts import ReceiptKind
from consent.formats.report import Findings, Report
from consent.formats.vault_rows import OpenedEvent, Row, VersionRow, compare_rows
from consent.formats.verify import verify_bundle, verify_receipt
from consent.verifier.kept import Kept
from consent.verifier.log_tree import verify_log
from consent.verifier.sources import MissingError
from tests.support.evidence import GRANT_STREAM, VAULT_STREAM, MemoryLog
from tests.support.published import PublishedLog
from tests.support.receipt_samples import ORIGIN

OTHER_STREAM = "g." + "2" * 32
OLD_SIZE = 9
LOG_SIZE, LOG_SIZE_BEFORE = 600, 300
# What only a place can be accused of: by these rules nothing but what was changed may be named.
OF_A_PLACE = {"inclusion", "private-opening", "agreement-hash", "receipt-signature", "tile"}
OF_A_PLACE |= {"row-changed", "row-removed", "row-put-back", "row-rolled-back", "row-unlogged"}
OF_A_PLACE |= {"version-changed", "version-removed", "version-unlogged", "read-unwritten"}


@dataclass(frozen=True)
class Tampered:
    """One change; `named` are beginnings of `where` with the rules that call it by its name."""

    what: str
    report: Report
    named: tuple[tuple[str, frozenset[str]], ...]
    also: tuple[str, ...] = ()  # what follows from it, and may be told besides

    def called_right(self):
        """Tell whether it was found, by its name, and nothing else was accused."""
        failures = self.report.failures
        found = any(
            each.rule in rules and self._is_at(each, place)
            for place, rules in self.named
            for each in failures
        )
        blamed = [
            each
            for each in failures
            if each.rule in OF_A_PLACE
            and not any(self._is_at(each, place) for place in self._known())
        ]
        return found and not blamed

    def _known(self):
        return *(place for place, _ in self.named), *self.also

    @staticmethod
    def _is_at(failure, place):
        # A file that is no bundle any more is named by its path in it.
        text = failure.where if failure.rule != "malformed" else failure.detail
        return text.startswith(place)


def named(*places, rules):
    """Return what a change may be called: these rules at each of these places, or malformed."""
    return tuple((place, frozenset({*rules, "malformed"})) for place in places)


@cache
def world():
    """Return the honest log: two people's grants, a vault's writes, receipts."""
    log = MemoryLog()
    log.add("vault.created", stream=VAULT_STREAM)
    for number, stream in enumerate((GRANT_STREAM, OTHER_STREAM)):
        client = {} if number == 0 else _other()
        log.add("consent.given", stream=stream, **client)
        log.add("token.issued", stream=stream, **client)
    log.add("record.written", stream=VAULT_STREAM, priv={"records": [["a", 1, "a" * 64]]}, count=1)
    for day in range(2, 6):
        log.read(f"2026-03-0{day}T12:00:00Z", priv={"records": [str(day)]})
        log.read(f"2026-03-0{day}T13:00:00Z", stream=OTHER_STREAM, **_other())
    log.add(
        "record.deleted",
        stream=VAULT_STREAM,
        priv={"records": [["b", 2, "b" * 64]], "deleted": ["b"]},
        count=1,
    )
    log.add("consent.withdrawn", time="2026-03-07T12:00:00Z")
    log.issue(ReceiptKind.GIVEN, seq=1, number=1)
    log.issue(ReceiptKind.WITHDRAWN, seq=7, number=2)
    return log


def _other():
    log = MemoryLog()
    given = log.add("consent.given")
    return {
        "grant": "6f1c1f1e-0000-4000-8000-0000000000d2",
        "client": given.client,
        "agreement_sha256": given.agreement_sha256,
    }


@cache
def honest():
    """Return the evidence of it all, as bytes."""
    log = world()
    return log.bundle(private=True, consistency=[log.consistency(OLD_SIZE)]).to_bytes()


@cache
def trust():
    return world().trust(pinned=world().checkpoint(OLD_SIZE))


def verified(document):
    return verify_bundle(canonical_bytes(document), trust())


def place(at):
    """Return the label of an entry up to its index, which a change of its event cannot move."""
    return f"entries[{at}]"


def flip_text(draw, text):
    at = draw.randrange(len(text))
    other = draw.choice([each for each in "0123456789abcdefABCxyz_-" if each != text[at]])
    return text[:at] + other + text[at + 1 :]


def changed(draw, value):
    """Return another value of the same kind."""
    if isinstance(value, str):
        return flip_text(draw, value)
    if isinstance(value, list):
        return [*value, "more"]
    return value + draw.randrange(1, 9) if isinstance(value, int) else "something"


ENTRY = ("inclusion", "private-opening", "entry-order", "stream-gap", "stream-repeat")


def flip_public(draw):
    document = parse(honest())
    at = draw.randrange(len(document["entries"]))
    event = document["entries"][at]["event"]
    inside = draw.choice([event["pub"], event])
    name = draw.choice([name for name in sorted(inside) if name != "pub"])
    inside[name] = changed(draw, inside[name])
    what = f"{name} of entry {at}"
    return Tampered(what, verified(document), named(place(at), rules=ENTRY))


def flip_private(draw):
    document = parse(honest())
    at = draw.randrange(len(document["entries"]))
    private = document["entries"][at]["private"]
    if draw.randrange(2):
        private["priv"]["planted"] = draw.randrange(1 << 30)
    else:
        private["r_priv"] = flip_text(draw, private["r_priv"])
    rules = ("private-opening",)
    return Tampered(f"private part of {at}", verified(document), named(place(at), rules=rules))


def flip_proof(draw):
    document = parse(honest())
    at = draw.randrange(len(document["entries"]))
    entry = document["entries"][at]
    number = draw.randrange(len(entry["leaf_proof"]))
    match draw.randrange(3):
        case 0:
            entry["leaf_proof"][number] = flip_text(draw, entry["leaf_proof"][number])
        case 1:
            del entry["leaf_proof"][number]
        case _:
            entry["index"] += draw.choice([1, 2, 64])
    return Tampered(f"proof of entry {at}", verified(document), named(place(at), rules=ENTRY))


def delete_entry(draw):
    document = parse(honest())
    at = draw.randrange(len(document["entries"]))
    pub = document["entries"].pop(at)["event"]["pub"]
    document["manifest"]["entries"] -= 1
    gone = f"{pub['stream']}/{pub['seq']}"
    return Tampered(f"{gone} gone", verified(document), named(gone, rules=["stream-gap"]))


def truncate_tail(draw):
    document = parse(honest())
    most = draw.randrange(1, 5)
    gone = [each["event"]["pub"] for each in document["entries"][-most:]]
    del document["entries"][-most:]
    document["manifest"]["entries"] -= most
    first = min((each["stream"], each["seq"]) for each in gone)
    where = f"{first[0]}/{first[1]}"
    return Tampered(f"last {most} gone", verified(document), named(where, rules=["stream-gap"]))


def insert_entry(draw):
    document = parse(honest())
    at = draw.randrange(len(document["entries"]))
    copy = parse(canonical_bytes(document["entries"][at]))
    if draw.randrange(2):
        copy["event"]["pub"]["count"] += 1
    document["entries"].insert(at + 1, copy)
    document["manifest"]["entries"] += 1
    where = place(at + 1)
    return Tampered(f"entry {at} twice", verified(document), named(where, rules=ENTRY))


def reorder(draw):
    document = parse(honest())
    at = draw.randrange(len(document["entries"]) - 1)
    entries = document["entries"]
    entries[at], entries[at + 1] = entries[at + 1], entries[at]
    where = place(at + 1)
    return Tampered(f"{at} after {at + 1}", verified(document), named(where, rules=["entry-order"]))


def swap_people(draw):
    """Two vaults' entries change places: each keeps its index and proof."""
    document = parse(honest())
    by_stream = {GRANT_STREAM: [], OTHER_STREAM: []}
    for at, entry in enumerate(document["entries"]):
        by_stream.get(entry["event"]["pub"]["stream"], []).append(at)
    one, other = (draw.choice(by_stream[stream]) for stream in (GRANT_STREAM, OTHER_STREAM))
    entries = document["entries"]
    for member in ("event", "private"):
        first, second = entries[one][member], entries[other][member]
        entries[one][member], entries[other][member] = second, first
    places = place(one), place(other)
    return Tampered(
        f"{one} and {other} swapped", verified(document), named(*places, rules=["inclusion"])
    )


def change_receipt(draw):
    document = parse(honest())
    at = draw.randrange(len(document["receipts"]))
    receipt = document["receipts"][at]
    if draw.randrange(3) == 0:
        del document["receipts"][at]
        places, rules = (f"receipts {receipt['dct:identifier']}",), ["manifest"]
    else:
        inside = draw.choice([receipt, receipt["log"], receipt["proof"]])
        name = draw.choice(
            sorted(name for name in inside if not isinstance(inside[name], dict | list))
        )
        inside[name] = changed(draw, inside[name])
        places = f"receipts[{at}]", "receipts ", "receipts"
        rules = ["receipt-form", "receipt-signature", "receipt-citation", "manifest"]
    return Tampered(f"receipt {at}", verified(document), named(*places, rules=rules))


def change_agreement(draw):
    document = parse(honest())
    (agreement,) = document["agreements"]
    places = f"agreements[0] {agreement['sha256']}", f"agreements {agreement['sha256']}"
    match draw.randrange(3):
        case 0:
            document["agreements"] = []
        case 1:
            agreement["sha256"] = flip_text(draw, agreement["sha256"])
        case _:
            name = draw.choice(sorted(agreement["terms"]))
            agreement["terms"][name] = changed(draw, agreement["terms"][name])
    rules = ["agreement-hash", "agreement-form", "manifest"]
    places = (*places, "agreements[0]")
    return Tampered("agreement", verified(document), named(*places, rules=rules))


CHECKPOINT = ("checkpoint-signature", "origin", "pinned-checkpoint")


def change_checkpoint(draw):
    document = parse(honest())
    document["checkpoint"] = flip_text(draw, document["checkpoint"])
    return Tampered(
        "checkpoint", verified(document), named("checkpoint", "origin", rules=CHECKPOINT)
    )


def sign_by_another(_draw):
    """A whole log of the attacker's own: all in it agrees, and the key is theirs."""
    log = world()
    forger = Signer.generate(ORIGIN)
    note = sign_checkpoint(
        Checkpoint(ORIGIN, len(log.entries), merkle.root(log.leaves())), [forger]
    )
    report = verify_bundle(log.bundle(private=True, checkpoint=note).to_bytes(), trust())
    return Tampered("another key", report, named("checkpoint", rules=CHECKPOINT))


def wrong_keys(draw):
    """The verifier is given other keys than the log's or the receipts'."""
    if draw.randrange(2):
        other = replace(trust(), log_keys=(Signer.generate(ORIGIN).verifier,))
        places = named("checkpoint", rules=CHECKPOINT)
    else:
        other = replace(trust(), receipt_keys={"receipts-1": draw.randbytes(32)})
        places = named("receipts[", rules=["receipt-signature"])
    return Tampered("keys of another", verify_bundle(honest(), other), places)


def fork(draw):
    """The log itself signs another history, after a checkpoint that the reader pinned."""
    log, forked = world(), MemoryLog()
    forked.events, forked.receipts = list(log.events), log.receipts
    forked.entries = list(log.entries)
    at = draw.randrange(OLD_SIZE)
    forked.entries[at] = bytes([1]) + draw.randbytes(32)
    chosen = [index for index in range(len(forked.entries)) if index != at]
    bundle = forked.bundle(chosen, private=True, consistency=[forked.consistency(OLD_SIZE)])
    report = verify_bundle(bundle.to_bytes(), trust())
    return Tampered(f"fork at {at}", report, named("checkpoint", rules=["pinned-checkpoint"]))


def old_backup(draw):
    """Evidence of an earlier day, in which nothing is wrong, to whom saw a later checkpoint."""
    log = world()
    size = draw.randrange(3, len(log.entries) - 1)
    earlier = MemoryLog(entries=log.entries[:size], events=log.events[:size])
    report = verify_bundle(
        earlier.bundle(private=True).to_bytes(), log.trust(pinned=log.checkpoint(size + 1))
    )
    return Tampered(f"size {size} again", report, named("checkpoint", rules=["pinned-checkpoint"]))


def change_sidecar(draw):
    """A receipt with its proof: of another entry, or changed."""
    log = world()
    signed, proof = log.receipts[0], log.proof(1)
    lines = proof.split("\n")
    if draw.randrange(3) == 0:
        wrong, rules = (
            log.proof(draw.choice([0, *range(2, len(log.entries))])),
            ["receipt-citation"],
        )
        where = "receipt"
    else:
        at = draw.choice([number for number, line in enumerate(lines) if line])
        lines[at] = flip_text(draw, lines[at])
        wrong, rules, where = "\n".join(lines), ["inclusion"], "proof"
    report = verify_receipt(signed, wrong, log.trust())
    return Tampered("proof of a receipt", report, named(where, rules=rules))


def change_row(draw):
    """Rows of a vault: flipped, taken out, put in, rolled back, put back, another vault's."""
    log = MemoryLog()
    boxes = [draw.randbytes(32).hex() for _ in range(12)]
    first = [[f"r{number}", 1, boxes[number]] for number in range(4)]
    second = [[f"r{number}", 2, boxes[4 + number], boxes[8 + number]] for number in range(4)]
    gone = f"r{draw.randrange(4)}"
    events = [
        OpenedEvent(log.add("records.imported", stream=VAULT_STREAM), {"records": first}),
        OpenedEvent(
            log.add("records.imported", stream=VAULT_STREAM),
            {"records": second, "deleted": [gone]},
        ),
    ]
    rows = {
        name: Row(name, "contact", version, name == gone, box) for name, version, box, _ in second
    }
    history = {name: VersionRow(name, 1, before) for name, _, _, before in second}
    old = {
        name: Row(name, "contact", version, is_deleted=False, box_sha256=box)
        for name, version, box in first
    }
    name = draw.choice(sorted(rows))
    where = f"record {name}"
    ways = ["flip", "delete", "insert", "roll back", "swap", "stand up"]
    match draw.choice([*ways, *(f"{each} of the history" for each in ways[:3])]):
        case "flip of the history":
            digest = flip_digest(draw, history[name].box_sha256)
            history[name] = replace(history[name], box_sha256=digest)
            where, rules = f"{where} version 1", ["version-changed"]
        case "delete of the history":
            del history[name]
            where, rules = f"{where} version 1", ["version-removed"]
        case "insert of the history":
            history["planted"] = VersionRow(name, 2, boxes[0])
            where, rules = f"{where} version 2", ["version-unlogged"]
        case "flip":
            rows[name] = replace(rows[name], box_sha256=flip_digest(draw, rows[name].box_sha256))
            rules = ["row-changed"]
        case "delete":
            del rows[name]
            rules = ["row-removed"]
        case "insert":
            name, where = "planted", "record planted"
            rows[name] = Row(name, "contact", 1, is_deleted=False, box_sha256=boxes[0])
            rules = ["row-unlogged"]
        case "roll back":
            rows[name] = old[name]
            rules = ["row-put-back" if name == gone else "row-rolled-back"]
        case "swap":
            rows[name] = replace(rows[name], opens=False)  # another vault's key sealed it
            rules = ["row-changed"]
        case _:
            rows[name] = replace(rows[name], is_deleted=not rows[name].is_deleted)
            rules = ["row-put-back" if name == gone else "row-removed"]
    findings = Findings()
    compare_rows(
        events,
        rows.values(),
        history.values(),
        findings,
        is_newest=True,
        progress=lambda _done: None,
    )
    return Tampered(f"row {name}", findings.report(trusted=True), named(where, rules=rules))


def flip_digest(draw, text):
    at = draw.randrange(len(text))
    return text[:at] + ("0" if text[at] != "0" else "1") + text[at + 1 :]


class Files:
    """A published log in memory; `files` may be changed before it is read."""

    parallel = 1

    def __init__(self, files):
        self.files = dict(files)

    def read(self, path):
        if path not in self.files:
            raise MissingError(f"{path} is missing")
        return self.files[path]


class _InMemory(PublishedLog):
    def __init__(self):
        super().__init__(None)
        self.files = {}

    def write(self, path, data):
        self.files[path] = data


@cache
def published():
    """Return a log's files, those of an earlier day, and what a verifier kept of that day."""
    log = _InMemory()
    log.publish(LOG_SIZE_BEFORE)
    earlier = dict(log.files)
    kept = []
    report = verify_log(
        Files(earlier), log_trust(log), kept=None, progress=_silent, keep=kept.append
    )
    assert report.failures == ()
    log.publish(LOG_SIZE)
    return log, dict(log.files), earlier, kept[-1]


def log_trust(log):
    return replace(trust(), log_keys=(log.signer.verifier,), pinned=None)


def _silent(_done, _total):
    pass


def check_files(files, kept=None):
    log = published()[0]
    return verify_log(
        Files(files), log_trust(log), kept=kept, progress=_silent, keep=lambda _kept: None
    )


def in_use(files):
    """Return the files that the newest checkpoint rests on: full ones, and the newest partial."""
    return sorted(
        path
        for path in files
        if path.startswith("tile/") and (".p/" not in path or path.endswith(_ENDS))
    )


_ENDS = (f".p/{LOG_SIZE % 256}", f".p/{LOG_SIZE // 256}")


def change_tile(draw):
    """A byte of a tile or an entry bundle."""
    _, files, _, _ = published()
    path = draw.choice(in_use(files))
    data = bytearray(files[path])
    at = draw.randrange(len(data))
    data[at] ^= 1 << draw.randrange(8)
    report = check_files(files | {path: bytes(data)})
    return Tampered(f"byte {at} of {path}", report, named(*_names(path, at), rules=TILE), ABOVE)


# A tile of hashes over hashes is told too where the entries below it are not those it was made of.
ABOVE = ("tile/1/",)
TILE = ("tile", "entry-form", "entries", "root", "checkpoint-signature")


def _names(path, at):
    # An entry is called by the hash over it, which no longer fits.
    if not path.startswith("tile/entries/"):
        return (f"{path} hash {at // 32}",)
    return path, path.replace("tile/entries/", "tile/0/")


def remove_tile(draw):
    _, files, _, _ = published()
    path = draw.choice(in_use(files))
    report = check_files({name: data for name, data in files.items() if name != path})
    return Tampered(f"{path} gone", report, named(path, rules=TILE))


def swap_tiles(draw):
    """Two tiles, or two entry bundles, of one width change places."""
    _, files, _, _ = published()
    pairs = [
        (one, other)
        for one in in_use(files)
        for other in in_use(files)
        if one < other
        and len(files[one]) == len(files[other])
        and one.rpartition("/")[0] == other.rpartition("/")[0]
    ]
    one, other = draw.choice(pairs)
    report = check_files(files | {one: files[other], other: files[one]})
    names = [name for path in (one, other) for name in (path, path.replace("entries/", "0/"))]
    return Tampered(f"{one} and {other}", report, named(*names, rules=TILE), ABOVE)


def restore_log(draw):
    """The log as it was: shorter than what its verifier saw, or with another past."""
    log, files, earlier, kept = published()
    if draw.randrange(2):
        later = Kept(kept.origin, files["checkpoint"].decode(), kept.size, kept.edge)
        return Tampered(
            "older log", check_files(earlier, later), named("checkpoint", rules=["rolled-back"])
        )
    other = _InMemory()
    other.signer = log.signer
    at = draw.randrange(LOG_SIZE_BEFORE)
    planted = bytes([1]) + draw.randbytes(32)
    honest_entry = other._entry
    other._entry = lambda number: planted if number == at else honest_entry(number)
    other.publish(LOG_SIZE)
    report = check_files(other.files, kept)
    names = named("checkpoint", rules=["pinned-checkpoint", "root"])
    return Tampered(f"fork at {at}", report, names, ABOVE)


def change_log_checkpoint(draw):
    _, files, _, _ = published()
    note = flip_text(draw, files["checkpoint"].decode())
    report = check_files(files | {"checkpoint": note.encode()})
    return Tampered("log's checkpoint", report, named("checkpoint", rules=["checkpoint-signature"]))


WAYS: tuple[Callable[[object], Tampered], ...] = (
    flip_public,
    flip_private,
    flip_proof,
    delete_entry,
    truncate_tail,
    insert_entry,
    reorder,
    swap_people,
    change_receipt,
    change_agreement,
    change_checkpoint,
    sign_by_another,
    wrong_keys,
    fork,
    old_backup,
    change_sidecar,
    change_row,
    change_tile,
    remove_tile,
    swap_tiles,
    restore_log,
    change_log_checkpoint,
)
