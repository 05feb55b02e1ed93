"""What only a real HTTP server shows: headers and parameters twice, methods, chunks, hosts."""

from __future__ import annotations

import socket
import time
from contextlib import suppress
from http.client import HTTPResponse
from urllib.parse import urlencode, urlsplit

import pytest

from tests.support.oauth_client import ASSERTION_TYPE

AFFAIRS = {"grant_type": "client_credentials", "scope": "organisation"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
BAD = "no proof"


def authenticated(client, **form):
    """Return a form of the token endpoint."""
    return {
        "client_assertion": client.assertion(),
        "client_assertion_type": ASSERTION_TYPE,
        **AFFAIRS,
        **form,
    }


def is_refused(answer, error="invalid_request"):
    return answer.status_code == 400 and answer.json()["error"] == error


@pytest.mark.parametrize("order", ["good good", "good bad", "bad good"])
def test_a_second_proof_is_refused_wherever_it_stands_dpop_d1(client, order):
    """The server joins fields of one name, so that none of them is read alone."""
    url = client.endpoints["token"]
    proofs = [client.proof("POST", url) if one == "good" else BAD for one in order.split()]

    answer = client.http.post(
        url, data=authenticated(client), headers=[("DPoP", proof) for proof in proofs]
    )

    assert is_refused(answer, "invalid_dpop_proof")


@pytest.mark.parametrize("order", [["DPoP", "DPoP"], ["Bearer", "DPoP"], ["DPoP", "Bearer"]])
def test_a_second_token_is_refused_fapi_r1(client, order):
    url = f"{client.issuer}/v1/organisation"
    token = client.post("token", AFFAIRS).json()["access_token"]
    credentials = [("Authorization", f"{scheme} {token}") for scheme in order]

    def answer(headers):
        proof = client.proof("GET", url, access_token=token)
        return client.http.get(url, headers=[*headers, ("DPoP", proof)])

    assert answer([("Authorization", f"DPoP {token}")]).status_code == 200
    assert answer(credentials).status_code == 401


@pytest.mark.parametrize("endpoint", ["token", "pushed_authorization_request", "revocation"])
def test_a_query_is_refused_whatever_it_says_al_9(client, endpoint):
    for query in ("scope=audit", "x"):
        assert is_refused(
            client.post(endpoint, AFFAIRS, url=f"{client.endpoints[endpoint]}?{query}")
        )


@pytest.mark.parametrize("name", ["scope", "client_assertion", "x"])
def test_a_parameter_sent_twice_is_refused_oidf_38(client, name):
    form = authenticated(client, x="1")
    proof = client.proof("POST", client.endpoints["token"])

    answer = client.http.post(
        client.endpoints["token"],
        content=urlencode([*form.items(), (name, form[name])]),
        headers={**FORM, "DPoP": proof},
    )

    assert is_refused(answer)


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "TRACE"])
def test_endpoints_take_post_alone_oidf_36(client, method):
    for name in ("token", "pushed_authorization_request", "revocation", "introspection"):
        answer = client.http.request(method, client.endpoints[name])

        assert answer.status_code == 405
        assert "POST" in answer.headers["Allow"]


@pytest.mark.parametrize(("size", "status"), [(1_000, 200), (70_000, 413)])
def test_a_body_in_chunks_is_read_up_to_the_limit_par_p11(client, size, status):
    body = urlencode(authenticated(client, padding="x" * size)).encode()
    proof = client.proof("POST", client.endpoints["token"])

    answer = client.http.post(
        client.endpoints["token"],
        content=(body[place : place + 500] for place in range(0, len(body), 500)),
        headers={**FORM, "DPoP": proof},
    )

    assert answer.status_code == status


@pytest.mark.parametrize(
    ("target", "size"),
    [("/oauth/token?x", 100), ("/oauth/nothing", 100), ("/oauth/token", 200_000)],
)
def test_an_early_refusal_leaves_no_dead_connection(live, target, size):
    """The server's HTTP layer closes one whose body nobody read, without saying so.

    The client's next request on it would be lost; a POST must not be sent again by guess.
    """
    host = urlsplit(live.issuer).netloc
    with socket.create_connection(
        (urlsplit(live.issuer).hostname, urlsplit(live.issuer).port)
    ) as wire:
        wire.settimeout(10)
        wire.sendall(
            f"POST {target} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {size}\r\n"
            "Content-Type: application/x-www-form-urlencoded\r\n\r\n".encode()
        )
        time.sleep(0.1)  # The body comes in a packet of its own, as most clients send it.
        with suppress(ConnectionError):
            wire.sendall(b"x" * size)
        first = HTTPResponse(wire)
        first.begin()
        first.read()
        assert 400 <= first.status < 500
        if first.getheader("Connection") == "close":
            return
        wire.sendall(f"GET /healthz HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        second = HTTPResponse(wire)
        second.begin()
        assert second.status < 500


@pytest.mark.parametrize("header", ["Host", "X-Forwarded-Host", "Forwarded"])
def test_no_header_moves_what_a_proof_must_name_al_16(client, header):
    moved = {header: "host=evil.example" if header == "Forwarded" else "evil.example"}
    url = client.endpoints["token"]

    answer = client.post("token", AFFAIRS, headers=moved)
    theirs = client.proof("POST", url.replace(client.issuer, "http://evil.example"))

    assert answer.status_code == 200
    assert is_refused(
        client.post("token", AFFAIRS, headers=moved, proof=theirs), "invalid_dpop_proof"
    )
