"""The client of the server: proofs, retries, refusals, and answers that break the interface."""

from __future__ import annotations

import json

import httpx
import pytest
import stamina
from joserfc import jwt
from joserfc.jwk import ECKey, OKPKey, RSAKey

from connector.errors import (
    AnswerRejectedError,
    ConfigurationError,
    ConsentEndedError,
    ConsentSuspendedError,
    CursorExpiredError,
    ServerRefusedError,
    ServerUnavailableError,
    TokenInvalidError,
)
from connector.pds import models
from connector.pds.client import PDSClient, _pause, checked_issuer, http_client
from connector.pds.proofs import client_assertion, dpop_proof, generate_key, load_keys, receipt_key
from tests.support.pds_peer import START, FrozenClock, PDSPeer

AYSEL = {"profile": {"given_name": "Aysel"}, "contact": {"email": "a@x.example"}}


@pytest.fixture(autouse=True)
def _no_pauses():
    with stamina.set_testing(True, attempts=3):
        yield


@pytest.fixture
def clock():
    return FrozenClock()


@pytest.fixture
def peer(clock):
    return PDSPeer(clock, page_size=1)


@pytest.fixture
def client(peer, clock):
    key = generate_key()
    peer.register("acme", key.as_dict(private=False))
    with http_client() as http:
        http._transport = peer.transport()
        yield PDSClient(
            peer.issuer, client_id="acme", key=key, dpop_key=generate_key(), http=http, clock=clock
        )


def snapshot(client, connection):
    return client.snapshot(connection.grant_id, refresh_token=connection.refresh_token)


def test_a_snapshot_follows_every_page_and_keeps_each_log_entry_p_33(client, peer):
    connection = peer.grant(AYSEL)

    result = snapshot(client, connection)

    assert {record.collection for record in result.records} == {"profile", "contact"}
    assert [entry.seq for entry in result.log_entries] == [1, 2]


def test_a_token_is_used_until_it_is_nearly_over(client, peer, clock):
    connection = peer.grant(AYSEL)
    snapshot(client, connection)
    snapshot(client, connection)
    assert peer.count("/oauth/token") == 1

    clock.forward(seconds=571)
    snapshot(client, connection)
    assert peer.count("/oauth/token") == 2


def test_a_token_that_was_ended_is_replaced_once(client, peer):
    connection = peer.grant(AYSEL)
    snapshot(client, connection)
    peer._access.clear()

    assert snapshot(client, connection).records


@pytest.mark.parametrize(
    ("state", "error"),
    [
        ("withdrawn", ConsentEndedError),
        ("suspended", ConsentSuspendedError),
    ],
)
def test_refusals_are_told_apart_p_38(client, peer, state, error):
    connection = peer.grant(AYSEL)
    snapshot(client, connection)
    connection.state = state

    with pytest.raises(error):
        snapshot(client, connection)


def test_a_one_time_access_that_was_used_is_no_ending_yet(client, peer):
    connection = peer.grant(AYSEL)
    snapshot(client, connection)
    connection.is_fetched = True

    with pytest.raises(ConsentSuspendedError):
        snapshot(client, connection)


def test_a_lost_token_is_not_an_ending(client, peer):
    connection = peer.grant(AYSEL)
    connection.tokens_valid = False

    with pytest.raises(TokenInvalidError):
        snapshot(client, connection)


def test_an_answer_without_its_log_entry_is_refused_p_33(client, peer):
    peer.omit_log_entry = True

    with pytest.raises(AnswerRejectedError, match="log entry"):
        snapshot(client, peer.grant(AYSEL))


def test_an_expired_cursor_is_told(client, peer):
    peer.grant(AYSEL)
    peer.forget_feed()

    with pytest.raises(CursorExpiredError):
        client.changes(after=0)


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_what_may_help_is_sent_again_with_new_proofs(client, peer, status):
    peer.fail("/v1/connections", status, times=2)

    assert list(client.connections()) == [[]]
    assert peer.count("/v1/connections") == 3


def test_attempts_come_to_an_end(client, peer):
    peer.fail("/v1/connections", 503, times=9)

    with pytest.raises(ServerUnavailableError):
        list(client.connections())
    assert peer.count("/v1/connections") == 3


def test_the_servers_own_wish_decides_the_pause():
    assert 7 <= _pause(ServerUnavailableError(retry_after_seconds=7)) < 8
    assert _pause(ServerUnavailableError()) is True
    assert _pause(ServerRefusedError(403, "x")) is False


def test_a_refusal_is_not_repeated(client, peer):
    peer.fail("/v1/connections", 403, code="forbidden", times=2)

    with pytest.raises(ServerRefusedError):
        list(client.connections())
    assert peer.count("/v1/connections") == 1


@pytest.mark.parametrize(
    "change",
    [
        {"issuer": "https://other.test"},
        {"token_endpoint": "https://evil.test/token"},
        {"token_endpoint": None},
    ],
    ids=["RFC 8414 section 3.3 issuer", "endpoint elsewhere", "endpoint missing"],
)
def test_metadata_of_somebody_else_are_refused(client, peer, change):
    path = "/.well-known/oauth-authorization-server"
    body = {**peer.app.test_client().get(path).json, **change}
    peer.app.view_functions[path] = lambda: body

    with pytest.raises(AnswerRejectedError):
        client.metadata()
    assert peer.count("/oauth/token") == 0


def test_redirects_are_not_followed():
    def answer(_request):
        return httpx.Response(302, headers={"Location": "https://evil.test/"})

    with http_client() as http:
        http._transport = httpx.MockTransport(answer)
        client = PDSClient(
            "https://vault.test",
            client_id="acme",
            key=generate_key(),
            dpop_key=generate_key(),
            http=http,
            clock=FrozenClock(),
        )
        with pytest.raises(ServerRefusedError):
            client.metadata()


def page(*feeds, last, has_more=False):
    changes = [{"feed": n, "connection": "c", "kind": "data", "state": "active"} for n in feeds]
    return {"changes": changes, "last": last, "has_more": has_more}


def test_a_page_leads_on():
    assert models.change_page_from(page(5, 6, last=7), after=4).last == 7


@pytest.mark.parametrize(
    "body",
    [page(5, last=4), page(4, last=5), page(last=3), page(last=4, has_more=True), page(last=-1)],
    ids=["behind its changes", "old change", "behind the cursor", "stands still", "negative"],
)
def test_a_feed_that_does_not_lead_on_is_refused_con_g1(body):
    with pytest.raises(AnswerRejectedError):
        models.change_page_from(body, after=4)


@pytest.mark.parametrize(
    "header", [None, "", "g.1", "/1", "g.1/", "g.1/0", "g.1/-1", "g.1/x", "g.1/²"]
)
def test_a_malformed_log_entry_is_refused_p_33(header):
    with pytest.raises(AnswerRejectedError):
        models.log_entry_from(header, count=0)


def test_a_bearer_token_is_refused_dpop_d13():
    body = {"access_token": "t", "token_type": "Bearer", "expires_in": 600}

    with pytest.raises(AnswerRejectedError):
        models.token_from(body)


def test_an_assertion_is_for_the_issuer_and_for_a_minute_dec_3():
    key = generate_key()

    token = client_assertion(key, client_id="acme", issuer="https://vault.test", now=START)

    claims = jwt.decode(token, key, algorithms=["Ed25519"]).claims
    assert claims["aud"] == "https://vault.test"
    assert claims["exp"] - claims["iat"] == 60


@pytest.mark.parametrize(
    "key", [generate_key(), ECKey.generate_key("P-256")], ids=["Ed25519", "ES256"]
)
def test_a_proof_holds_the_public_key_alone_dpop_d7(key):
    proof = dpop_proof(
        key, method="GET", url="https://vault.test/v1/grant", now=START, access_token="t"
    )

    header = jwt.decode(proof, key, algorithms=["Ed25519", "ES256"]).header
    assert header["typ"] == "dpop+jwt"
    assert set(header["jwk"]) <= {"kty", "crv", "x", "y"}


def test_two_proofs_differ():
    key = generate_key()
    proofs = {dpop_proof(key, method="GET", url="https://v.test/", now=START) for _ in range(2)}

    assert len(proofs) == 2


def test_a_key_set_signs_with_its_first_and_receipts_with_ed25519():
    first, second = ECKey.generate_key("P-256"), generate_key()
    text = json.dumps({"keys": [first.as_dict(private=True), second.as_dict(private=True)]})

    keys = load_keys(text)

    assert keys[0].thumbprint() == first.thumbprint()
    assert receipt_key(keys)[1] == second.kid
    with pytest.raises(ConfigurationError):
        receipt_key(keys[:1])


@pytest.mark.parametrize(
    "text",
    [
        "no json",
        "[]",
        "{}",
        json.dumps(generate_key().as_dict(private=False)),
        json.dumps(RSAKey.generate_key(2048).as_dict(private=True)),
        json.dumps(OKPKey.generate_key("X25519").as_dict(private=True)),
    ],
    ids=["text", "list", "empty", "public", "RSA", "X25519"],
)
def test_other_keys_are_refused(text):
    with pytest.raises(ConfigurationError):
        load_keys(text)


@pytest.mark.parametrize(
    "url", ["https://vault.test", "http://127.0.0.1:8000", "http://localhost:1"]
)
def test_an_issuer_over_tls_or_on_loopback_is_fine(url):
    assert checked_issuer(url + "/") == url


def test_an_issuer_in_the_clear_is_refused():
    with pytest.raises(ConfigurationError):
        checked_issuer("http://vault.example.org")
