"""A whole log, checked from its entries up (LOG-25).

The tree is grown again from the published entries, and everything else that is published is held
against it: each tile of hashes, the root that was signed, and the checkpoint seen before, which the
log must extend. Only the right edge is kept, so memory does not grow with the log.

Rules: `checkpoint-signature`, `rolled-back`, `pinned-checkpoint`, `entries`, `entry-form`, `tile`,
`root`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from consent.formats.checkpoint import Checkpoint
from consent.formats.epochs import EPOCH_ENTRY, first_entry, is_same_or_later, split_origin
from consent.formats.errors import FormatError, MalformedError, VerificationError
from consent.formats.leaf import ENTRY_BYTES, LEAF_VERSION
from consent.formats.merkle import HASH_BYTES, consistency_proof, root_at, verify_consistency
from consent.formats.note import Verifier
from consent.formats.report import Findings, Report
from consent.formats.tiles import (
    TILE_HEIGHT,
    TILE_WIDTH,
    BundleId,
    Growth,
    TileId,
    decode_bundle,
    grow,
    tile_reader,
)
from consent.formats.trust import Trust
from consent.verifier.kept import Kept
from consent.verifier.sources import MissingError, Source

MOST_FAILURES = 100

_GROUP = 16  # bundles to a step: enough to read side by side, and 2 MiB at the very most

Progress = Callable[[int, int], None]
Keep = Callable[[Kept], None]


def verify_log(
    source: Source, trust: Trust, *, kept: Kept | None, progress: Progress, keep: Keep
) -> Report:
    """Verify a published log; the report names what is wrong with it.

    Args:
        source: where it lies.
        trust: what the caller trusts beforehand; without a key of the log those that it publishes
            are used, and the verdict is SELF_CONSISTENT_ONLY at best (P-34).
        kept: of an earlier run; what it verified is not read again.
        progress: called with (entries done, entries in all) now and then.
        keep: called with what is verified so far, and at the end with the new checkpoint; never
            after a failure.

    Raises:
        UnreadableError: the source cannot be read to its end. What `keep` got stands.
    """
    with ThreadPoolExecutor(source.parallel) as pool:
        return _LogChecks(source, trust, kept, progress, keep, pool).run()


@dataclass(slots=True)
class _LogChecks:
    source: Source
    trust: Trust
    kept: Kept | None
    progress: Progress
    keep: Keep
    pool: ThreadPoolExecutor
    findings: Findings = field(default_factory=Findings)
    _size: int = 0
    _epoch: int = 1
    _edge: dict[int, bytes] = field(default_factory=dict)

    def run(self) -> Report:
        note, signed = self._check_checkpoint()
        if signed is not None:
            self._check_consistency(signed)
            self._check_tree(signed)
            if not self.findings.failures:
                self.keep(self._so_far(signed.origin, note))
        return self.findings.report(trusted=bool(self.trust.log_keys))

    def _check_checkpoint(self) -> tuple[str, Checkpoint | None]:
        note, signed = "", None
        with (
            self.findings.check("checkpoint") as say,
            self.findings.attempt("checkpoint", "checkpoint-signature"),
        ):
            note = _text(self.source.read("checkpoint"))
            opened = self.trust.open(note, self.trust.log_keys or self._published_keys())
            if self.kept is not None and self.kept.origin != opened.origin:
                raise VerificationError(f"the log verified before was {self.kept.origin}")
            signed = opened
            _, self._epoch = split_origin(signed.origin)
            say(f"{signed.origin}, size {signed.size}")
        return note, signed

    def _published_keys(self) -> tuple[Verifier, ...]:
        return tuple(
            Verifier.from_text(line) for line in _text(self.source.read("vkeys")).splitlines()
        )

    def _check_consistency(self, signed: Checkpoint) -> None:
        pins = [pin for pin in (self.trust.pinned, self._kept_checkpoint) if pin is not None]
        if not pins:
            self.findings.skip("consistency", "no earlier checkpoint to compare with")
            return
        with self.findings.check("consistency") as say:
            for pin in pins:
                with self.findings.attempt("checkpoint", "pinned-checkpoint"):
                    # The pin is a note like any other: it counts only if the log signed it.
                    keys = self.trust.log_keys or self._published_keys()
                    earlier = Trust().open(pin, keys)
                    if earlier.origin != signed.origin:
                        self._check_continues(earlier, pin, signed)
                        say(f"{signed.origin} continues {earlier.origin} from {earlier.size}")
                        continue
                    self._check_extends(earlier, signed)
                    say(f"size {signed.size} extends size {earlier.size}")

    def _check_continues(self, earlier: Checkpoint, pin: str, signed: Checkpoint) -> None:
        if not is_same_or_later(signed.origin, than=earlier.origin) or signed.size == 0:
            raise VerificationError(f"the log verified before was {earlier.origin}")
        held = decode_bundle(self._read(BundleId(0, min(TILE_WIDTH, signed.size))))
        if not held or held[0] != first_entry(pin):
            raise VerificationError(f"{signed.origin} does not begin where this checkpoint ends")

    def _check_extends(self, earlier: Checkpoint, signed: Checkpoint) -> None:
        if earlier.size > signed.size:
            detail = f"it had {earlier.size} entries when it was seen before, and has {signed.size}"
            self.findings.fail("checkpoint", "rolled-back", detail)
            return
        # Of unverified tiles: a proof that was made up does not lead from root to root.
        read = tile_reader(self._published, signed.size)
        verify_consistency(
            old_size=earlier.size,
            old_root=earlier.root,
            new_size=signed.size,
            new_root=signed.root,
            proof=consistency_proof(read, earlier.size, signed.size),
        )

    def _check_tree(self, signed: Checkpoint) -> None:
        if self.kept is not None and self.kept.size <= signed.size:
            self._size, self._edge = self.kept.size, dict(self.kept.edge)
        before = self._size
        with self.findings.check("entries") as say:
            root = self._grow_to(signed)
            if root is not None and root != signed.root:
                whose = f", the first {before} of them as an earlier run kept them" * bool(before)
                detail = f"the {signed.size} entries{whose} have another root than the signed one"
                self.findings.fail("checkpoint", "root", detail)
            earlier = f"{before} of them in an earlier run, " * bool(before)
            say(f"{signed.size}, {earlier}every tile and the root recomputed")

    def _grow_to(self, signed: Checkpoint) -> bytes | None:
        """Return the root of the published entries, or None if they cannot be had."""
        edge, root = self._edge, root_at(tile_reader(self._edge_tile, self._size), self._size)
        for group in _groups(self._size, signed.size):
            with self.findings.attempt(group[0].path, "entries"):
                entries = self._read_entries(group)
                if entries is None:
                    return None
                growth = grow(self._edge_tile, _no_bundle, self._size, entries)
                edge, root = _edge_after(self._edge, growth), growth.root
                self._check_tiles(_full(growth.tiles))
                self.progress(growth.new_size, signed.size)
                if growth.new_size % TILE_WIDTH == 0:
                    self._size, self._edge = growth.new_size, edge
                if not self.findings.failures:
                    self.keep(self._so_far(signed.origin, self._kept_checkpoint))
                if len(self.findings.failures) < MOST_FAILURES:
                    continue
            # What cannot be read, or is wrong throughout, leaves nothing to compare the root with.
            return None
        self._check_tiles({_edge_id(level, signed.size): data for level, data in edge.items()})
        return root

    def _read_entries(self, group: Sequence[BundleId]) -> list[bytes] | None:
        """Return the entries of a group of bundles, or None if one is missing or is none."""
        entries: list[bytes] = []
        before = len(self.findings.failures)
        for bundle, data in zip(group, self.pool.map(self._try_read, group), strict=True):
            with self.findings.attempt(bundle.path, "entries"):
                if isinstance(data, FormatError):
                    raise data
                entries += self._entries_in(bundle, data)
        failures = self.findings.failures[before:]
        return None if any(each.rule == "entries" for each in failures) else entries

    def _entries_in(self, bundle: BundleId, data: bytes) -> list[bytes]:
        held = decode_bundle(data)[: bundle.width]
        if len(held) < bundle.width:
            raise MalformedError(f"{len(held)} entries in it")
        for at, entry in enumerate(held):
            number = bundle.index * TILE_WIDTH + at
            # An epoch after a restore begins with an entry of its own (`formats.epochs`).
            form = EPOCH_ENTRY if number == 0 and self._epoch > 1 else LEAF_VERSION
            if len(entry) != ENTRY_BYTES or entry[0] != form:
                where = f"{bundle.path} entry {number}"
                self.findings.fail(where, "entry-form", "not the 33 bytes of an entry")
        return held

    def _check_tiles(self, computed: Mapping[TileId, bytes]) -> None:
        for tile, published in zip(computed, self.pool.map(self._try_read, computed), strict=True):
            if isinstance(published, FormatError):
                self.findings.fail(tile.path, "tile", str(published))
            elif not published.startswith(computed[tile]):
                self._name_difference(tile, computed[tile], published)

    def _name_difference(self, tile: TileId, computed: bytes, published: bytes) -> None:
        starts = range(0, tile.width * HASH_BYTES, HASH_BYTES)
        wrong = [
            at // HASH_BYTES
            for at in starts
            if computed[at : at + HASH_BYTES] != published[at : at + HASH_BYTES]
        ]
        covers = 1 << (TILE_HEIGHT * tile.level)
        first = (tile.index * TILE_WIDTH + wrong[0]) * covers
        those = f"entry {first}" if covers == 1 else f"entries {first} to {first + covers - 1}"
        others = f", nor are {len(wrong) - 1} more" * (len(wrong) > 1)
        where = f"{tile.path} hash {wrong[0]}"
        self.findings.fail(where, "tile", f"not the hash of {those} as published{others}")

    @property
    def _kept_checkpoint(self) -> str | None:
        return self.kept.checkpoint if self.kept else None

    def _so_far(self, origin: str, checkpoint: str | None) -> Kept:
        return Kept(origin, checkpoint, self._size, dict(self._edge))

    def _edge_tile(self, tile: TileId) -> bytes:
        return self._edge.get(tile.level, b"")

    def _published(self, tile: TileId) -> bytes:
        return self._read(tile)

    def _try_read(self, place: TileId | BundleId) -> bytes | FormatError:
        try:
            return self._read(place)
        except FormatError as error:
            return error

    def _read(self, place: TileId | BundleId) -> bytes:
        try:
            return self.source.read(place.path)
        except MissingError:
            if place.width == TILE_WIDTH:
                raise
        # A partial one may be gone once the full one is there, which begins with the same bytes.
        return self.source.read(place.path.partition(".p/")[0])


def _groups(start: int, size: int) -> Iterator[list[BundleId]]:
    # The partial bundle is a group of its own: what is kept before it ends with a full one.
    full, rest = divmod(size, TILE_WIDTH)
    for first in range(start // TILE_WIDTH, full, _GROUP):
        yield [BundleId(index) for index in range(first, min(first + _GROUP, full))]
    if rest:
        yield [BundleId(full, rest)]


def _full(tiles: Mapping[TileId, bytes]) -> dict[TileId, bytes]:
    return {tile: data for tile, data in tiles.items() if tile.width == TILE_WIDTH}


def _edge_after(edge: Mapping[int, bytes], growth: Growth) -> dict[int, bytes]:
    moved = dict(edge)
    for tile, data in growth.tiles.items():
        if tile.width < TILE_WIDTH:
            moved[tile.level] = data
        else:
            moved.pop(tile.level, None)
    return moved


def _edge_id(level: int, size: int) -> TileId:
    index, width = divmod(size >> (TILE_HEIGHT * level), TILE_WIDTH)
    return TileId(level, index, width)


def _no_bundle(_bundle: BundleId) -> bytes:
    raise AssertionError("grown from whole bundles only")


def _text(data: bytes) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as exc:
        raise MalformedError("not UTF-8") from exc
