"""A server on this machine that takes one connection and says what it is told to."""

from __future__ import annotations

import socket
import threading
from contextlib import ExitStack, contextmanager


@contextmanager
def speaking(act, *, tls=None):
    """Run a server that takes one connection, reads a request and does `act` with it."""
    listening = socket.create_server(("127.0.0.1", 0))
    listening.settimeout(10)  # for whoever never comes
    seen = []

    def serve():
        with listening:
            try:
                plain, _ = listening.accept()
            except TimeoutError:
                return
            with ExitStack() as stack:
                connection = stack.enter_context(plain)
                try:
                    if tls is not None:
                        secured = tls.wrap_socket(plain, server_side=True)
                        connection = stack.enter_context(secured)
                    seen.append(connection.recv(65_536))
                    act(connection)
                    # Until the other side goes: a reset would lose what was written.
                    connection.settimeout(5)
                    connection.recv(1)
                except OSError:
                    pass

    thread = threading.Thread(target=serve)
    thread.start()
    scheme = "https" if tls else "http"
    try:
        yield f"{scheme}://127.0.0.1:{listening.getsockname()[1]}/hook", seen
    finally:
        thread.join(10)
