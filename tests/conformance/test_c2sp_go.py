"""Go's implementation of signed notes, tiles and proofs agrees with ours (LOG-24)."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from consent.formats import merkle
from consent.formats.checkpoint import Checkpoint, sign_checkpoint
from consent.formats.cosignature import Cosigner
from consent.formats.encoding import b64
from consent.formats.note import Signer, Verifier, open_note
from consent.formats.tiles import TileId, grow, tile_reader

pytestmark = pytest.mark.go

SIZES = [1, 2, 3, 7, 8, 255, 256, 257, 511, 512, 513, 1000, 1537, 1999, 2000]
GOPATH_MODE = {"GO111MODULE": "off", "GOPATH": "/usr/share/gocode", "GOFLAGS": ""}
SIGNER = Signer.generate("vault.example/log")


@pytest.fixture(scope="module")
def verifier_program(tmp_path_factory):
    """Build the Go program once."""
    folder = tmp_path_factory.mktemp("go")
    program = folder / "verifier"
    environment = os.environ | GOPATH_MODE | {"GOCACHE": str(folder / "cache")}
    source = Path(__file__).parent / "go" / "main.go"
    command = ["go", "build", "-o", str(program), str(source)]
    subprocess.run(command, env=environment, check=True)  # noqa: S603 - our own source
    return program


@pytest.fixture(scope="module")
def ask_go(verifier_program):
    def ask(**question):
        done = subprocess.run(  # noqa: S603 - built above
            [verifier_program],
            input=json.dumps({"vkey": SIGNER.verifier.to_text(), "paths": []} | question).encode(),
            capture_output=True,
            check=True,
        )
        return json.loads(done.stdout)

    return ask


class GrowingLog:
    """Grows in uneven steps, as an integrator does, and keeps every tile that was published."""

    def __init__(self):
        self.published, self.latest, self.bundles, self.roots = {}, {}, {}, {}
        self.entries = []

    def grow_to(self, size):
        new = [b"entry %d" % number for number in range(len(self.entries), size)]
        growth = grow(
            lambda tile: self.latest[tile.level, tile.index],
            lambda bundle: self.bundles[bundle.index],
            len(self.entries),
            new,
        )
        self.latest |= {(tile.level, tile.index): data for tile, data in growth.tiles.items()}
        self.published |= growth.tiles
        self.bundles |= {bundle.index: data for bundle, data in growth.bundles.items()}
        self.entries += new
        self.roots[size] = growth.root

    def tree(self, size):
        """Return what Go is asked to check about the tree of `size`."""
        read = tile_reader(lambda tile: self.latest[tile.level, tile.index], size)
        witness = Cosigner.generate("witness.example/w1", now=lambda: 1_772_000_000)
        checkpoint = Checkpoint(SIGNER.name, size, self.roots[size])
        indexes = sorted({0, size // 3, size // 2, size - 1} | set(range(0, size, 97)))
        return {
            "checkpoint": sign_checkpoint(checkpoint, [SIGNER, witness]),
            "tiles": {tile.path: b64(data) for tile, data in self.published.items()},
            "entries": [b64(entry) for entry in self.entries[:size]],
            "inclusion": [
                {
                    "index": index,
                    "entry": b64(self.entries[index]),
                    "proof": [b64(each) for each in merkle.inclusion_proof(read, index, size)],
                }
                for index in indexes
            ],
            "consistency": [
                {
                    "old_size": old,
                    "old_root": b64(self.roots[old]),
                    "proof": [b64(each) for each in merkle.consistency_proof(read, old, size)],
                }
                for old in self.roots
                if old <= size
            ],
        }


@pytest.fixture(scope="module")
def trees():
    log = GrowingLog()
    for size in SIZES:
        log.grow_to(size)
    return [log.tree(size) for size in SIZES]


def test_go_verifies_checkpoints_proofs_and_tiles_of_every_size(ask_go, trees):
    answer = ask_go(trees=trees)

    assert answer["problems"] == [[]] * len(SIZES)
    assert answer["checked"] > sum(SIZES)


def test_go_finds_what_was_changed(ask_go, trees):
    """The program is no yes-man: each change is one that our verifier refuses too."""
    last = trees[-1]
    inclusion, consistency = last["inclusion"][3], last["consistency"][4]
    flipped = b64(bytes(32))
    wrong_entry = last | {"inclusion": [inclusion | {"entry": b64(b"another")}]}
    wrong_proof = last | {"inclusion": [inclusion | {"proof": [flipped, *inclusion["proof"][1:]]}]}
    wrong_root = last | {"consistency": [consistency | {"old_root": flipped}]}
    wrong_note = last | {"checkpoint": last["checkpoint"].replace("\n2000\n", "\n2001\n")}
    wrong_tiles = last | {"tiles": last["tiles"] | {TileId(0, 3).path: b64(bytes(8192))}}

    answer = ask_go(trees=[wrong_entry, wrong_proof, wrong_root, wrong_note, wrong_tiles])

    assert all(answer["problems"])


def test_a_note_that_go_signed_is_opened_here(ask_go):
    answer = ask_go(trees=[])

    opened = open_note(answer["note"], [Verifier.from_text(answer["vkey"])])

    assert opened.text == "made by Go\n"


def test_go_reads_the_paths_that_are_written_here(ask_go):
    tiles = [TileId(0, 0), TileId(2, 1234067, 5), TileId(7, 999), TileId(63, 1000, 255)]

    answer = ask_go(trees=[], paths=[tile.path for tile in tiles])

    assert answer["paths"] == [f"{tile.level} {tile.index} {tile.width}" for tile in tiles]
