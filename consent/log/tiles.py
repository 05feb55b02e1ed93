"""The tree's tiles as rows: one for each place, as wide as it has become."""

from __future__ import annotations

from dataclasses import dataclass, field

from sqlalchemy import bindparam, select
from sqlalchemy.orm import Session

from consent.formats.errors import MalformedError
from consent.formats.leaf import ENTRY_BYTES
from consent.formats.merkle import HASH_BYTES
from consent.formats.tiles import BundleId, Growth, TileId
from consent.log.rows import replace_all
from consent.models import LogTile
from pds.store import connection_of

BUNDLE_LEVEL = -1
_BUNDLED_ENTRY_BYTES = 2 + ENTRY_BYTES
_TILE = select(LogTile.data).where(
    LogTile.level == bindparam("at_level"), LogTile.index == bindparam("at_index")
)


@dataclass(slots=True)
class Tiles:
    """Reads tiles and bundles of any width up to the stored one, which begins with the same bytes.

    Both readers raise MalformedError for what is not there.
    """

    session: Session
    _new: dict[tuple[int, int], bytes] = field(default_factory=dict)

    def add(self, growth: Growth) -> None:
        """Answer with tiles that are about to be stored as if they were."""
        self._new |= {(tile.level, tile.index): data for tile, data in growth.tiles.items()}

    def read_tile(self, tile: TileId) -> bytes:
        """Return `tile.width` hashes of 32 bytes."""
        return self._start(tile.level, tile.index, tile.width * HASH_BYTES)

    def read_bundle(self, bundle: BundleId) -> bytes:
        """Return `bundle.width` entries, each with its length before it."""
        return self._start(BUNDLE_LEVEL, bundle.index, bundle.width * _BUNDLED_ENTRY_BYTES)

    def _start(self, level: int, index: int, length: int) -> bytes:
        data = self._new.get((level, index))
        if data is None:
            place = {"at_level": level, "at_index": index}
            data = connection_of(self.session).scalar(_TILE, place) or b""
        if len(data) < length:
            raise MalformedError(f"the tile at level {level}, index {index} is missing or short")
        return data[:length]


def write_growth(session: Session, growth: Growth) -> None:
    """Store the tiles and bundles that growing has changed, each in place of a narrower one."""
    tiles = [(tile.level, tile.index, tile.width, data) for tile, data in growth.tiles.items()]
    tiles += [(BUNDLE_LEVEL, one.index, one.width, data) for one, data in growth.bundles.items()]
    columns = ("level", "index", "width", "data")
    replace_all(session, LogTile, [dict(zip(columns, tile, strict=True)) for tile in tiles])
