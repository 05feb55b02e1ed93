"""One request, over real sockets of this machine (SEC-S52, ORG-18)."""

from __future__ import annotations

import socket
import ssl
import threading
from datetime import UTC, datetime, timedelta

import pytest

from api.outgoing.addresses import Target, parse
from api.webhooks.sending import Sender
from consent.webhooks.deliveries import Outcome
from tests.support.certificates import certificate_for
from tests.support.speaking import speaking

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def post(url, **options):
    target = parse(url, insecure_loopback=True)
    return Sender(**options).post(target, b"{}", {"webhook-id": "msg_1"}, now=NOW)


def answering(text):
    return lambda connection: connection.sendall(text)


@pytest.mark.parametrize(
    ("answer", "outcome", "status"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\n", Outcome.DELIVERED, 200),
        (b"HTTP/1.0 204 No Content\r\n\r\n", Outcome.DELIVERED, 204),
        (
            b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 202 A\r\n\r\n",
            Outcome.DELIVERED,
            202,
        ),
        (b"HTTP/1.1 301 M\r\nLocation: http://10.0.0.1/\r\n\r\n", Outcome.REDIRECT, 301),
        (b"HTTP/1.1 410 Gone\r\n\r\n", Outcome.STATUS, 410),
        (b"HTTP/1.1 503 S\r\n\r\n", Outcome.STATUS, 503),
        (b"SSH-2.0-OpenSSH\r\n\r\n", Outcome.MALFORMED, None),
        (b"HTTP/1.1 two\r\n\r\n", Outcome.MALFORMED, None),
        (b"", Outcome.MALFORMED, None),
    ],
    ids=[
        "200",
        "204",
        "after hints",
        "redirect",
        "410",
        "503",
        "another protocol",
        "odd",
        "nothing",
    ],
)
def test_what_comes_back_is_judged_by_its_status(answer, outcome, status):
    def act(connection):
        connection.sendall(answer)
        connection.shutdown(socket.SHUT_WR)

    with speaking(act) as (url, seen):
        got = post(url)

    assert (got.outcome, got.status) == (outcome, status)
    assert seen[0].startswith(b"POST /hook HTTP/1.1\r\nHost: 127.0.0.1:")
    assert seen[0].endswith(b"\r\nwebhook-id: msg_1\r\n\r\n{}")


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (b"120", 120),
        (b"99999999999999999999", 1_000_000),
        (b"Sun, 01 Mar 2026 12:10:00 GMT", 600),
        (b"Sun, 01 Mar 2026 11:00:00 GMT", 0),
        (b"soon", None),
        (b"-5", None),
    ],
)
def test_retry_after_is_read_in_both_forms(value, seconds):
    with speaking(answering(b"HTTP/1.1 503 S\r\nRetry-After: %b\r\n\r\n" % value)) as (url, _):
        got = post(url)

    assert got.retry_after == (None if seconds is None else timedelta(seconds=seconds))


def test_a_head_without_end_is_cut_off():
    taken = []

    def flood(connection):
        connection.sendall(b"HTTP/1.1 200 OK\r\n")
        for _ in range(128):
            connection.sendall(b"a: b\r\n" * 10_000)
            taken.append(60_000)

    with speaking(flood) as (url, _):
        assert post(url).outcome is Outcome.MALFORMED

    assert len(taken) < 128  # it went away long before the end


def test_a_byte_at_a_time_does_not_outlast_the_deadline():
    """Each read alone would be in time; the deadline is for all of them together."""
    ended = threading.Event()

    def drip(connection):
        for byte in b"HTTP/1.1 200 OK\r\n" + b"x" * 150:
            if ended.wait(0.02):
                return
            connection.sendall(bytes([byte]))

    with speaking(drip) as (url, _):
        got = post(url, timeout_seconds=0.3)
        ended.set()

    assert got.outcome is Outcome.TIMEOUT
    assert got.milliseconds < 2_000


def test_nobody_there_is_unreachable():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]

    assert post(f"http://127.0.0.1:{port}/").outcome is Outcome.UNREACHABLE


def test_a_name_that_leads_inside_is_never_connected_to():
    """SEC-S52: the guard sits in the sender, not only where URLs are given."""
    asked = []

    def lookup(host, port, **_):
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    target = parse("https://receiver.example/", insecure_loopback=False)
    got = Sender(lookup=lookup).post(target, b"{}", {}, now=NOW)

    assert got.outcome is Outcome.ADDRESS_REFUSED
    assert asked == ["receiver.example"]


def test_the_name_is_asked_for_once_and_the_address_kept():
    """DNS rebinding: a second answer, which leads elsewhere, is never asked for."""
    asked = []

    def lookup(host, port, **_):
        asked.append(host)
        address = "127.0.0.1" if len(asked) == 1 else "10.0.0.1"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    with speaking(answering(b"HTTP/1.1 200 OK\r\n\r\n")) as (url, _):
        port = parse(url, insecure_loopback=True).port
        target = Target("localhost", port, "/", tls=False, loopback=True)
        got = Sender(lookup=lookup).post(target, b"{}", {}, now=NOW)

    assert (got.outcome, len(asked)) == (Outcome.DELIVERED, 1)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """Give a certificate that nobody vouches for."""
    return certificate_for("receiver.example", tmp_path_factory.mktemp("tls") / "receiver.pem")


def server_side(certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


def test_a_certificate_that_nobody_vouches_for_is_refused(certificate):
    with speaking(answering(b""), tls=server_side(certificate)) as (url, seen):
        assert post(url).outcome is Outcome.TLS

    assert seen == []


@pytest.mark.parametrize(
    ("host", "outcome"),
    [("receiver.example", Outcome.DELIVERED), ("other.example", Outcome.TLS)],
)
def test_a_certificate_must_be_for_the_name_not_the_address(certificate, host, outcome):
    trusting = ssl.create_default_context(cafile=certificate)
    answer = answering(b"HTTP/1.1 200 OK\r\n\r\n")
    with speaking(answer, tls=server_side(certificate)) as (url, _):
        port = parse(url, insecure_loopback=True).port

        def lookup(_host, _port, **_):
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

        # `loopback` stands for a public address here: nothing else is at hand on this machine.
        target = Target(host, port, "/", tls=True, loopback=True)
        got = Sender(lookup=lookup, tls=trusting).post(target, b"{}", {}, now=NOW)

    assert got.outcome is outcome


def test_a_body_of_values_would_not_fit():
    target = parse("http://127.0.0.1:9/", insecure_loopback=True)

    with pytest.raises(ValueError, match="ids"):
        Sender().post(target, b"x" * 16_385, {}, now=NOW)
