"""Logs as they are published: the files of C2SP tlog-tiles in a folder, and a server of such."""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

from consent.formats.checkpoint import Checkpoint, sign_checkpoint
from consent.formats.leaf import LEAF_VERSION
from consent.formats.note import Signer
from consent.formats.tiles import TILE_WIDTH, TileId, grow
from tests.support.receipt_samples import ORIGIN


def entry(number: int) -> bytes:
    """Return a made-up entry of 33 bytes."""
    return bytes([LEAF_VERSION]) + number.to_bytes(32, "big")


class PublishedLog:
    """A log that writes its files below `folder` whenever it is published."""

    def __init__(self, folder, *, entries=entry):
        self.folder, self._entry = folder, entries
        self.signer = Signer.generate(ORIGIN)
        self.size, self.tiles, self.bundles = 0, {}, {}

    @property
    def vkey(self):
        return self.signer.verifier.to_text()

    def publish(self, size):
        """Grow to `size` entries; write checkpoint, vkeys, tiles and bundles."""
        growth = grow(
            lambda tile: self.tiles[tile.level, tile.index],
            lambda bundle: self.bundles[bundle.index],
            self.size,
            [self._entry(number) for number in range(self.size, size)],
        )
        for place, data in (growth.tiles | growth.bundles).items():
            if isinstance(place, TileId):
                self.tiles[place.level, place.index] = data
            else:
                self.bundles[place.index] = data
            self.write(place.path, data)
        self.size = size
        note = sign_checkpoint(Checkpoint(ORIGIN, size, growth.root), [self.signer])
        self.write("checkpoint", note.encode())
        self.write("vkeys", f"{self.vkey}\n".encode())
        return note

    def write(self, path, data):
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        # A partial tile lies in a folder that is named like the full one's file, with `.p`.
        file.write_bytes(data)

    def flip(self, path, at):
        """Change one byte of a file."""
        data = bytearray((self.folder / path).read_bytes())
        data[at] ^= 1
        (self.folder / path).write_bytes(bytes(data))

    def drop_partial(self):
        """Delete partial files, as a log may once the full ones are there."""
        for file in self.folder.glob("tile/**/*.p/*"):
            if int(file.name) < TILE_WIDTH:
                file.unlink()


class _Quiet(SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_arguments):
        pass


@contextmanager
def served(folder, handler=_Quiet):
    """Serve a folder on the loopback interface; the value is its address."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=str(folder))) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
