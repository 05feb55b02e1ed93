"""RFC 7662: token introspection."""

import pytest

from tests.support.oauth_client import OMIT, jkt
from tests.support.oauth_ext_server import ISSUER, OWNER, World


@pytest.fixture(name="world")
def _world():
    return World()


def test_a_live_token_is_described_dpop_d14_section_2_2(world):
    token = world.tokens(scope="organisation")["access_token"]

    answer = world.client.introspect(token)

    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.json() == {
        "active": True,
        "iss": ISSUER,
        "client_id": "client-1",
        "sub": OWNER,
        "scope": "organisation",
        "iat": world.memory.time,
        "exp": world.memory.time + 600,
        "token_type": "DPoP",
        "cnf": {"jkt": jkt(world.client.dpop_key)},
    }


def test_a_refresh_token_has_no_key_dpop_d14_d21(world):
    body = world.client.introspect(world.tokens()["refresh_token"]).json()

    assert body["active"]
    assert "cnf" not in body
    assert "token_type" not in body


@pytest.mark.parametrize("token", ["unknown", "é", "x" * 5000])
def test_an_unknown_token_is_inactive_and_nothing_more_section_2_2(world, token):
    assert world.client.introspect(token).json() == {"active": False}


def test_another_clients_token_is_inactive_section_4_thr_11(world):
    token = world.tokens()["access_token"]

    assert world.other.introspect(token).json() == {"active": False}


def test_an_expired_token_is_inactive_section_4(world):
    token = world.tokens()["access_token"]

    with world.later(600):
        assert world.client.introspect(token).json() == {"active": False}


def test_a_code_is_no_token(world):
    code, _ = world.code()

    assert world.client.introspect(code).json() == {"active": False}


def test_any_hint_is_accepted_section_2_1(world):
    token = world.tokens()["access_token"]

    assert world.client.introspect(token, token_type_hint="other").json()["active"]


def test_a_missing_token_is_an_invalid_request_section_2_1(world):
    assert world.client.introspect(OMIT).json()["error"] == "invalid_request"
