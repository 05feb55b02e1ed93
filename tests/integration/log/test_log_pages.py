"""The public log over HTTP, as a mirror reads it (C2SP tlog-tiles)."""

from __future__ import annotations

import pytest
from flask import Flask

from api import problems
from api.resources.log import blueprint
from api.wiring import EXTENSION
from api.worker import Worker
from consent.formats import merkle
from consent.formats.checkpoint import open_checkpoint
from consent.formats.note import Verifier
from consent.formats.tiles import BundleId, TileId, decode_bundle, tile_reader
from pds.errors import PDSError
from tests.support.events import add_grant, add_person, log_many


@pytest.fixture
def client(wiring):
    app = Flask(__name__)
    app.extensions[EXTENSION] = wiring
    app.register_blueprint(blueprint)
    app.register_error_handler(PDSError, problems.of_error)
    return app.test_client()


@pytest.fixture
def placed(store, wiring):
    shared = add_grant(store.uow, add_person(store.uow))
    log_many(store.uow, shared, wiring.log, 300)
    Worker(wiring).turn()
    return 300


def test_a_mirror_rebuilds_the_signed_tree_from_tiles(client, placed):
    vkey = Verifier.from_text(client.get("/log/vkeys").text.strip())
    note = client.get("/log/checkpoint").text
    checkpoint = open_checkpoint(note, log_keys=[vkey]).checkpoint

    read = tile_reader(lambda tile: client.get(f"/log/{tile.path}").data, checkpoint.size)
    bundles = [BundleId(0), BundleId(1, placed - 256)]
    entries = [
        entry
        for bundle in bundles
        for entry in decode_bundle(client.get(f"/log/{bundle.path}").data)
    ]

    assert checkpoint.size == placed == len(entries)
    assert merkle.root_at(read, placed) == checkpoint.root
    assert merkle.root([merkle.leaf_hash(entry) for entry in entries]) == checkpoint.root


@pytest.mark.usefixtures("placed")
def test_tiles_may_be_kept_for_ever_and_checkpoints_for_seconds(client):
    tile, partial = client.get("/log/tile/0/000"), client.get(f"/log/{TileId(0, 1, 7).path}")
    checkpoint = client.get("/log/checkpoint")

    for answer in (tile, partial):
        assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        assert answer.headers["Content-Type"] == "application/octet-stream"
    assert checkpoint.headers["Cache-Control"] == "public, max-age=2"
    assert checkpoint.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert len(partial.data) == 7 * 32


@pytest.mark.usefixtures("placed")
@pytest.mark.parametrize(
    "path",
    [
        "tile/0/001",
        "tile/0/001.p/45",
        "tile/0/000.p/256",
        "tile/0/0",
        "tile/64/000",
        "tile/-1/000",
        "tile/entries/002.p/1",
        "tile/entries/../0/000",
        "tile/0/x000/000",
    ],
)
def test_a_tile_that_the_tree_does_not_have_is_not_found(client, path):
    answer = client.get(f"/log/{path}")

    assert answer.status_code == 404
    assert answer.headers.get("Cache-Control") != "public, max-age=31536000, immutable"


def test_before_the_first_run_there_is_no_checkpoint(client):
    assert client.get("/log/checkpoint").status_code == 404


def test_the_key_is_the_logs_own(client, wiring):
    vkey = Verifier.from_text(client.get("/log/vkeys").text.strip())

    assert vkey.name == wiring.settings.log_origin
    assert vkey == wiring.log_signer.verifier
