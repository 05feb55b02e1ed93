"""RFC 7636: PKCE by S256, for everyone."""

import pytest

from tests.support.oauth_client import OMIT, pkce_pair
from tests.support.oauth_ext_server import World


@pytest.fixture(name="world")
def _world():
    return World()


@pytest.mark.parametrize(
    "parameters",
    [
        {"code_challenge": OMIT, "code_challenge_method": OMIT},
        {"code_challenge": OMIT},
        {"code_challenge_method": OMIT},
        {"code_challenge_method": "plain"},
        {"code_challenge_method": "s256"},
        {"code_challenge": "x" * 42},
        {"code_challenge": "x" * 44},
        {"code_challenge": "~" * 43},
    ],
    ids=["none", "no challenge", "no method", "plain", "case", "short", "long", "alphabet"],
)
def test_a_request_without_an_s256_challenge_is_refused_al_1_fapi_a5_bcp_b3_oidf_37(
    world, parameters
):
    answer = world.client.push(pkce_pair()[1], **parameters)

    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


@pytest.mark.parametrize(
    ("verifier", "error"),
    [
        (OMIT, "invalid_request"),
        ("", "invalid_request"),
        ("x" * 42, "invalid_request"),
        ("x" * 129, "invalid_request"),
        ("é" * 43, "invalid_request"),
        ("x" * 43, "invalid_grant"),
    ],
    ids=["missing", "empty", "short", "long", "alphabet", "wrong"],
)
def test_a_code_is_not_redeemed_without_its_verifier_al_1_bcp_b4_oidf_37(world, verifier, error):
    code, _ = world.code()

    answer = world.client.redeem(code, verifier)

    assert (answer.status_code, answer.json()["error"]) == (400, error)


def test_the_challenge_is_not_its_own_verifier_al_1(world):
    verifier, challenge = pkce_pair()
    del verifier
    uri = world.pushed(world.client, challenge)
    location = world.decide(world.client, uri).headers["Location"]
    code = location.split("code=")[1].split("&")[0]

    assert world.client.redeem(code, challenge).json()["error"] == "invalid_grant"


def test_a_code_is_redeemed_with_its_verifier_bcp_b3(world):
    assert world.client.redeem(*world.code()).status_code == 200
