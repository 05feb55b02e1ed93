"""Grant Management for OAuth 2.0: the extension by itself (GM-M1 to GM-M3, GM-M6, GM-M8)."""

import pytest

from api.oauth.ext.grant_management import GrantStatus
from tests.support.oauth_client import OMIT, pkce_pair
from tests.support.oauth_ext_server import World


@pytest.fixture(name="world")
def _world():
    world = World()
    world.memory.grants = {"g-1": world.client.client_id, "g-2": world.other.client_id}
    return world


def push(world, **parameters):
    return world.client.push(pkce_pair()[1], **parameters)


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"grant_management_action": "create"},
        {"grant_management_action": "merge", "grant_id": "g-1"},
    ],
)
def test_create_and_merge_belong_to_the_authorization_request_gm_m1(world, parameters):
    assert push(world, **parameters).status_code == 201


@pytest.mark.parametrize(
    "parameters",
    [
        {"grant_management_action": "merge"},
        {"grant_management_action": "create", "grant_id": "g-1"},
        {"grant_id": "g-1"},
    ],
)
def test_merge_needs_a_grant_id_and_nothing_else_has_one_gm_m2(world, parameters):
    answer = push(world, **parameters)

    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


@pytest.mark.parametrize("action", ["replace", "update", "query", "Create", "é", '"'])
def test_another_action_is_an_invalid_request_section_5_3(world, action):
    """`replace` is not in 1.0."""
    answer = push(world, grant_management_action=action, grant_id="g-1")

    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


@pytest.mark.parametrize("grant_id", ["g-2", "g-3", "é", "x" * 129])
def test_an_unknown_grant_and_another_clients_look_the_same_gm_m3(world, grant_id):
    answer = push(world, grant_management_action="merge", grant_id=grant_id)

    assert answer.status_code == 400
    assert answer.json() == {
        "error": "invalid_grant_id",
        "error_description": "there is no such grant",
    }


@pytest.mark.parametrize("name", ["grant_management_action", "grant_id"])
def test_a_token_request_manages_no_grant_gm_m1(world, name):
    code, verifier = world.code()
    refused = world.client.redeem(code, verifier, **{name: "create"})
    refresh_token = world.tokens()["refresh_token"]

    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_request")
    assert world.client.refresh(refresh_token, **{name: "create"}).status_code == 400


def test_who_does_not_authenticate_manages_no_grant_gm_m6(world):
    answer = push(world, grant_management_action="create", assertion=OMIT)

    assert answer.json()["error"] == "invalid_client"


def test_a_status_has_times_and_details_and_no_token_gm_m8():
    detail = {"type": "notes"}
    status = GrantStatus([detail], 1, 2, 3, "individual", scopes=["a"]).to_dict()

    assert status == {
        "scopes": [{"scope": "a"}],
        "claims": [],
        "authorization_details": [detail],
        "created_at": 1,
        "last_updated_at": 2,
        "expires_at": 3,
        "updated_by": "individual",
    }
