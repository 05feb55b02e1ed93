"""One GET of a small JSON document, over real sockets of this machine (THR-8)."""

from __future__ import annotations

import socket
import ssl
import time

import pytest

from api.outgoing.connecting import Dialler
from api.outgoing.exchanging import BODY_BYTES
from api.outgoing.fetching import Fetcher, FetchError
from tests.support.certificates import certificate_for
from tests.support.speaking import speaking

JSON = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


def saying(text):
    def says(connection):
        connection.sendall(text)
        connection.shutdown(socket.SHUT_WR)

    return says


@pytest.mark.parametrize(
    "answer",
    [
        JSON + b"Content-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\ncontent-type: application/jwk-set+json; x=y\r\n\r\n{}",
        JSON + b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n1\r\n}\r\n0\r\n\r\n",
    ],
)
def test_a_small_json_document_is_returned(answer):
    with speaking(saying(answer)) as (url, seen):
        assert Fetcher(insecure_loopback=True).get(url) == b"{}"

    assert seen[0].startswith(b"GET /hook HTTP/1.1\r\nHost: 127.0.0.1")


@pytest.mark.parametrize(
    "answer",
    [
        JSON.replace(b"200 OK", b"302 F\r\nLocation: http://169.254.169.254/")
        + b"Content-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 404 N\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
        JSON + b"Content-Length: 9\r\n\r\n{}",
        JSON + b"Content-Length: %d\r\n\r\n" % (BODY_BYTES + 1) + b"x" * (BODY_BYTES + 1),
        JSON + b"X: " + b"x" * 70_000 + b"\r\n\r\n{}",
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"",
    ],
)
def test_whatever_else_is_said_is_one_error_thr_8(answer):
    with speaking(saying(answer)) as (url, _), pytest.raises(FetchError) as caught:
        Fetcher(insecure_loopback=True).get(url)

    assert str(caught.value) == ""


def test_there_is_one_deadline_for_everything_thr_8():
    """A byte at a time gains no time."""

    def drips(connection):
        connection.sendall(JSON + b"Content-Length: 1000\r\n\r\n")
        for _ in range(100):
            connection.sendall(b" ")
            time.sleep(0.01)

    begun = time.monotonic()
    with speaking(drips) as (url, _), pytest.raises(FetchError):
        Fetcher(insecure_loopback=True, seconds=0.2).get(url)

    assert time.monotonic() - begun < 5


@pytest.mark.parametrize(
    "url",
    [
        "http://client.example/jwks",
        "https://127.0.0.1/jwks",
        "https://169.254.169.254/latest",
        "https://[::1]/jwks",
        "https://client.example:22/jwks",
        "https://u@client.example/jwks",
        "file:///etc/passwd",
        "https://localhost/jwks",
    ],
)
def test_no_other_url_is_asked_thr_8(url):
    def never(*_args, **_kwargs):
        raise AssertionError("looked up")

    with pytest.raises(FetchError):
        Fetcher(dialler=Dialler(lookup=never)).get(url)


@pytest.mark.parametrize("address", ["127.0.0.1", "10.0.0.1", "169.254.169.254", "::1", "fd00::1"])
def test_a_name_that_leads_inside_is_not_connected_to_thr_8(monkeypatch, address):
    """Looked up once, and the connection is to what was found: no rebinding in between."""
    asked = []

    def lookup(*args, **_kwargs):
        asked.append(args)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 443))]

    monkeypatch.setattr(socket, "create_connection", lambda *_a, **_k: pytest.fail("connected"))

    with pytest.raises(FetchError):
        Fetcher(dialler=Dialler(lookup=lookup)).get("https://client.example/jwks")
    assert len(asked) == 1


def test_a_certificate_is_checked_thr_8(tmp_path):
    served = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    served.load_cert_chain(certificate_for("other.example", tmp_path / "cert.pem"))

    answer = saying(JSON + b"Content-Length: 2\r\n\r\n{}")
    with speaking(answer, tls=served) as (url, _), pytest.raises(FetchError):
        Fetcher(insecure_loopback=True).get(url)
