"""RFC 7009: token revocation."""

import pytest

from tests.support.oauth_client import OMIT
from tests.support.oauth_ext_server import ISSUER, World


@pytest.fixture(name="world")
def _world():
    return World()


def test_a_revoked_access_token_opens_nothing_section_2(world):
    token = world.tokens()["access_token"]

    assert world.client.revoke(token).status_code == 200
    assert world.client.get(f"{ISSUER}/v1/notes", token).status_code == 401


def test_a_revoked_refresh_token_refreshes_nothing_section_2_1(world):
    refresh = world.tokens()["refresh_token"]
    world.client.revoke(refresh)

    assert world.client.refresh(refresh).json()["error"] == "invalid_grant"


def test_an_unknown_token_is_200_section_2_2(world):
    assert world.client.revoke("unknown").status_code == 200
    refresh = world.tokens()["refresh_token"]
    assert world.client.revoke(refresh).content == world.client.revoke(refresh).content


def test_another_clients_token_is_untouched_and_looks_unknown_thr_11(world):
    refresh = world.tokens()["refresh_token"]

    foreign, unknown = world.other.revoke(refresh), world.other.revoke("unknown")

    assert (foreign.status_code, foreign.content) == (unknown.status_code, unknown.content)
    assert world.client.refresh(refresh).status_code == 200


@pytest.mark.parametrize("hint", ["access_token", "refresh_token", "id_token", 'x"'])
def test_any_hint_is_accepted_and_none_decides_section_2_2_1(world, hint):
    refresh = world.tokens()["refresh_token"]

    assert world.client.revoke(refresh, token_type_hint=hint).status_code == 200
    assert world.client.refresh(refresh).status_code == 400


def test_a_missing_token_is_an_invalid_request_section_2_1(world):
    assert world.client.revoke(OMIT).json()["error"] == "invalid_request"


def test_a_query_string_is_refused_al_9(world):
    answer = world.client.post("revocation", {"token": "x"}, url=f"{ISSUER}/revoke?token=y")

    assert answer.json()["error"] == "invalid_request"
