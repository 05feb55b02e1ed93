"""Requests that no good client sends, to our server as people run it (section 10 of the profile).

The checks one by one are in the conformance tests, on the extensions alone. Here the whole server
answers, over HTTP and with its store.
"""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import replace
from urllib.parse import urlencode

import httpx
import pytest
from joserfc.jwk import OctKey

from tests.interop.servers import EMAIL, RAW_KEY
from tests.support.oauth_client import OMIT, Callback, new_key, pkce_pair
from tests.support.web_browser import WebBrowser

AFFAIRS = {"grant_type": "client_credentials", "scope": "organisation"}
# What a server that confuses keys would check HS256 with.
PUBLIC = OctKey.import_key(RAW_KEY.as_dict(private=False)["n"])


@pytest.fixture(scope="module")
def other(live, http):
    """Give a client of another organisation."""
    return replace(live.organisation("Bank").client, http=http, clock=time.time)


@pytest.fixture(scope="module")
def browser(live, aysel):
    """Give a browser in which a person is signed in."""
    with closing(WebBrowser(live, transport=httpx.HTTPTransport())) as browser:
        assert browser.sign_in(aysel.login).status == 303
        yield browser


@pytest.fixture
def details(shop):
    """Give what the client asks for."""
    return shop.details(shop.publish(required=[EMAIL]))


@pytest.fixture
def pushed(client, details):
    """Give a pushed request: its URI, and the verifier."""
    verifier, challenge = pkce_pair()
    answer = client.push(challenge, details=details)
    assert answer.status_code == 201, answer.text
    return answer.json()["request_uri"], verifier


@pytest.fixture
def code(client, browser, pushed):
    """Give a code, and the verifier."""
    return Callback.of(decided(browser, client, pushed[0]))["code"], pushed[1]


def decided(browser, client, request_uri):
    """Allow a request; returns where the browser is sent."""
    page = browser.get(client.authorization_url(request_uri))
    return browser.submit(page, "decision", decision="allow", duration="P30D").location


def is_refused(answer, error):
    """Tell whether it is an error of RFC 6749 section 5.2."""
    return answer.status_code == 400 and answer.json()["error"] == error


def affairs(client, **parts):
    """Ask for a token of the organisation, with some part made wrong."""
    return client.post("token", AFFAIRS, **parts)


ASSERTIONS = {
    "an array as aud": {"claims": lambda client: {"aud": [client.issuer]}},
    "the token endpoint as aud": {"claims": lambda client: {"aud": client.endpoints["token"]}},
    "RS256": {"header": {"alg": "RS256"}},
    "none": {"header": {"alg": "none"}},
    "HS256 with what is public": {
        "header": {"alg": "HS256"},
        "key": OctKey.import_key(RAW_KEY.as_dict()["n"]),
    },
    "another key": {"key": new_key("PS256", kid="raw")},
    "stale": {"claims": lambda client: {"iat": client.now() - 400, "exp": client.now() - 300}},
    "of the future": {"claims": lambda client: {"iat": client.now() + 90}},
}


@pytest.mark.parametrize("wrong", ASSERTIONS.values(), ids=ASSERTIONS)
def test_a_wrong_assertion_authenticates_nobody_oidf_24_oidf_26_oidf_33_oidf_39(client, wrong):
    claims = wrong.get("claims", lambda _client: {})(client)

    assertion = client.assertion(**wrong | {"claims": claims})

    assert is_refused(affairs(client, assertion=assertion), "invalid_client")


def test_an_assertion_is_good_once_thr_9(client):
    assertion = client.assertion()

    assert affairs(client, assertion=assertion).status_code == 200
    assert is_refused(affairs(client, assertion=assertion), "invalid_client")


PROOFS = {
    "with private members": {"header": {"jwk": new_key().as_dict(private=True)}},
    "stale": {"claims": lambda client: {"iat": client.now() - 90}},
    "of the future": {"claims": lambda client: {"iat": client.now() + 90}},
    "for another URL": {"claims": lambda client: {"htu": f"{client.issuer}/oauth/par"}},
    "for another method": {"claims": lambda _client: {"htm": "GET"}},
    "none": {"header": {"alg": "none"}},
    "RS256": {"header": {"alg": "RS256"}, "key": RAW_KEY},
    "signed by another key": {
        "key": new_key(),
        "header": {"jwk": new_key().as_dict(private=False)},
    },
}


@pytest.mark.parametrize("wrong", PROOFS.values(), ids=PROOFS)
def test_a_wrong_proof_gets_no_token_oidf_29(client, wrong):
    claims = wrong.get("claims", lambda _client: {})(client)

    proof = client.proof("POST", client.endpoints["token"], **wrong | {"claims": claims})

    assert is_refused(affairs(client, proof=proof), "invalid_dpop_proof")


def test_a_proof_is_good_once_dpop_d11(client):
    proof = client.proof("POST", client.endpoints["token"])

    assert affairs(client, proof=proof).status_code == 200
    assert is_refused(affairs(client, proof=proof), "invalid_dpop_proof")


@pytest.mark.parametrize(
    "wrong",
    [{"code_challenge": OMIT}, {"code_challenge_method": "plain"}, {"code_challenge_method": OMIT}],
    ids=["no challenge", "plain", "no method"],
)
def test_a_push_needs_an_s256_challenge_oidf_37(client, details, wrong):
    answer = client.push(pkce_pair()[1], details=details, **wrong)

    assert is_refused(answer, "invalid_request")


def test_a_code_is_for_its_client_its_verifier_and_one_use_oidf_21_oidf_22_oidf_37(
    client, other, code
):
    text, verifier = code
    url = f"{client.issuer}/v1/grant"

    assert is_refused(other.redeem(text, verifier), "invalid_grant")
    assert is_refused(client.redeem(text, pkce_pair()[0]), "invalid_grant")
    tokens = client.redeem(text, verifier).json()
    assert client.get(url, tokens["access_token"]).status_code == 200
    assert is_refused(client.redeem(text, verifier), "invalid_grant")
    assert client.get(url, tokens["access_token"]).status_code == 401
    assert is_refused(client.refresh(tokens["refresh_token"]), "invalid_grant")


def test_a_request_uri_is_for_its_client_and_one_decision_oidf_31_oidf_34(
    client, other, browser, pushed
):
    def is_shown(asking):
        answer = browser.get(asking.authorization_url(pushed[0]))
        assert answer.location == ""
        return answer.status == 200

    assert not is_shown(other)
    assert is_shown(client)
    assert "code" in Callback.of(decided(browser, client, pushed[0]))
    assert not is_shown(client)


def test_a_request_without_a_push_goes_nowhere_oidf_16(client, browser):
    query = urlencode(client.request_parameters(pkce_pair()[1]))

    answer = browser.get(f"{client.endpoints['authorization']}?{query}")

    assert (answer.status, answer.location) == (400, "")
