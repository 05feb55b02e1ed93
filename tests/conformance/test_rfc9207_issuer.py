"""RFC 9207: `iss` in every answer that reaches a client through the browser (FAPI-A7, THR-6)."""

import pytest

from tests.support.oauth_client import Callback, pkce_pair
from tests.support.oauth_ext_server import ISSUER, World


@pytest.fixture(name="world")
def _world():
    return World()


def test_success_names_the_issuer_section_2_ext_5(world):
    uri = world.pushed(world.client, pkce_pair()[1])

    answer = world.decide(world.client, uri)

    callback = Callback.of(answer.headers["Location"])
    assert set(callback.parameters) == {"code", "state", "iss"}
    assert callback["iss"] == ISSUER


def test_a_refusal_names_the_issuer_section_2_oidf_3(world):
    uri = world.pushed(world.client, pkce_pair()[1])

    answer = world.decide(world.client, uri, "refuse")

    callback = Callback.of(answer.headers["Location"])
    assert (callback["error"], callback["iss"]) == ("access_denied", ISSUER)
    assert callback["state"] == "state-1"
    assert "code" not in callback


def test_an_error_before_consent_names_the_issuer_al_8(world):
    uri = world.pushed(world.client, pkce_pair()[1], scope="organisation")
    world.register("client-1", scopes=frozenset())

    answer = world.http.get(world.client.authorization_url(uri))

    callback = Callback.of(answer.headers["Location"])
    assert (callback["error"], callback["iss"]) == ("invalid_scope", ISSUER)
    assert callback["state"] == "state-1"


@pytest.mark.parametrize("decision", ["allow", "refuse"])
def test_redirects_are_303_and_stored_nowhere_al_7_fapi_a10_fapi_a11(world, decision):
    uri = world.pushed(world.client, pkce_pair()[1])

    answer = world.decide(world.client, uri, decision)

    assert answer.status_code == 303
    assert answer.headers["Cache-Control"] == "no-store"


def test_the_redirect_uris_own_query_stays_rfc6749_section_3_1_2(world):
    uri = "https://client.example/cb?tenant=a%20b"
    client = world.register("client-3", redirect_uris=(uri,))
    client.redirect_uri = uri
    pushed = world.pushed(client, pkce_pair()[1])

    callback = Callback.of(world.decide(client, pushed).headers["Location"])

    assert callback["tenant"] == "a b"
    assert callback["iss"] == ISSUER
