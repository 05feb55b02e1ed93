"""A client's own server, which publishes its keys behind a `jwks_uri`."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.support.oauth_client import public_jwks


class Publisher:
    """Publishes a document, and counts how often it is asked."""

    def __init__(self):
        self.document, self.status, self.asked, self.url = {}, 200, 0, ""

    def publish(self, *keys):
        """Publish the public halves of keys."""
        self.document = public_jwks(*keys)


@contextmanager
def publishing():
    """Serve a publisher on this machine."""
    publisher = Publisher()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            publisher.asked += 1
            body = json.dumps(publisher.document).encode()
            self.send_response(publisher.status)
            self.send_header("Content-Type", "application/jwk-set+json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    publisher.url = f"http://127.0.0.1:{server.server_port}/jwks"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield publisher
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
