"""The servers that are compared, each in front of the same granian: `python -m bench.server ...`.

hello     a WSGI function that returns "hello": what granian alone can do
flask     a Flask route that returns "hello": what is left with Flask
read      the product
unlogged  the product, but a read writes no event and takes no number of its grant: the proof is
          still used up, in a write job that is waited for
"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

from flask import Flask
from granian import Granian
from granian.constants import Interfaces
from granian.log import LogLevels

from api import serving
from api.resources import grants
from api.resources.reading import Reader
from consent.log.entries import EntryRef, grant_stream

VARIANTS = ("hello", "flask", "read", "unlogged")


class UnloggedReader(Reader):
    """A reader whose third step keeps the proof and leaves out the rest; for comparison only."""

    def _commit(self, presented, *_args, **_kwargs):
        self.services.uow.write_rows(presented.use_proof)
        return EntryRef(grant_stream(presented.grant.grant_id), 1)


def load(variant, instance, *_):
    """Return the WSGI application of one worker process."""
    if variant == "hello":
        return _hello
    if variant == "flask":
        return _flask()
    if variant == "unlogged":
        grants.Reader = UnloggedReader
    return serving.load_app(Path(instance), with_worker=variant == "read")


def _hello(_environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello"]


def _flask():
    app = Flask("hello", static_folder=None)
    app.add_url_rule("/", view_func=lambda: "hello")
    return app


def main(variant, instance, port, workers, threads):
    """Serve one variant until told to stop, with the product's own settings of granian."""
    Granian(
        "pds",
        address="127.0.0.1",
        port=int(port),
        interface=Interfaces.WSGI,
        workers=int(workers),
        blocking_threads=int(threads),
        log_access=False,
        log_level=LogLevels.warning,
        websockets=False,
    ).serve(target_loader=partial(load, variant, instance), wrap_loader=False)


if __name__ == "__main__":
    main(*sys.argv[1:])
