"""Authlib's defaults that are overridden, where no RFC's own tests would notice (AL-1 to AL-16).

Each test fails if the override is removed. They are to be read again on each upgrade of Authlib.
"""

import ast
import dataclasses
import sys
from pathlib import Path

import pytest
from authlib.integrations import flask_oauth2
from authlib.oauth2 import rfc7523
from authlib.oauth2.rfc6749 import grants as rfc6749
from authlib.oauth2.rfc7636 import CodeChallenge

import api.oauth.ext
from api.oauth.ext.clients import ConfidentialClient
from api.oauth.ext.compact_jws import ALGORITHMS
from api.oauth.ext.grants import CodeRecord
from api.oauth.ext.replay import one_time_hash
from tests.support.oauth_client import OMIT, pkce_pair
from tests.support.oauth_ext_server import ISSUER, World

PACKAGE = Path(api.oauth.ext.__file__).parent


@pytest.fixture(name="world")
def _world():
    return World()


def test_no_grant_accepts_a_secret_al_15(world):
    for grant, _ in world.server._token_grants:
        assert grant.TOKEN_ENDPOINT_AUTH_METHODS == ["private_key_jwt"]


def test_an_endpoint_that_lists_other_methods_is_not_heard_al_15(world):
    class AnyMethod(ConfidentialClient):
        def check_endpoint_auth_method(self, _method, _endpoint):
            return True

    world.memory.clients["client-1"] = AnyMethod("client-1", {"keys": []})
    world.server._endpoints["revocation"][0].CLIENT_AUTH_METHODS = ["none"]

    answer = world.client.post(
        "revocation", {"token": "x", "client_id": "client-1"}, assertion=OMIT, proof=OMIT
    )

    assert answer.json()["error"] == "invalid_client"


def test_there_is_no_stock_token_generator_al_2(world):
    assert world.server._token_generators == {}


def test_only_the_code_response_type_is_registered_fapi_a1_bcp_b6(world):
    assert [grant.RESPONSE_TYPES for grant, _ in world.server._authorization_grants] == [{"code"}]


def test_a_bad_request_is_an_oauth_error_and_no_fault_of_the_server_al_9(world):
    """Authlib reads the request outside of its own try block."""
    for path in ("par", "token", "revoke", "introspect"):
        answer = world.http.post(f"{ISSUER}/{path}?x=1", data={})
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


def test_the_algorithms_are_those_of_the_profile_al_5():
    assert ALGORITHMS == ("ES256", "PS256", "EdDSA", "Ed25519")


def test_one_hook_puts_the_pushed_request_in_al_10(world):
    """Authlib keeps hooks in a set: of two that change the request, either may come last."""
    assert len(world.server._hooks["before_get_authorization_grant"]) == 1


def test_iss_is_added_once_al_8(world):
    uri = world.pushed(world.client, pkce_pair()[1])

    location = world.decide(world.client, uri, "refuse").headers["Location"]

    assert location.count("iss=") == 1


def test_what_stock_authlib_does_is_still_what_the_overrides_assume():
    """Should one of these fail after an upgrade, an override may have become needless or wrong."""
    assert "plain" in CodeChallenge.SUPPORTED_CODE_CHALLENGE_METHOD  # AL-1
    assert rfc6749.BaseGrant.TOKEN_ENDPOINT_AUTH_METHODS == ["client_secret_basic"]  # AL-15
    assert rfc7523.JWTBearerClientAssertion.CLIENT_AUTH_METHOD == "client_assertion_jwt"
    assert hasattr(flask_oauth2.AuthorizationServer, "create_oauth2_request")  # AL-9
    assert not hasattr(rfc6749.RefreshTokenGrant.validate_token_request, "__wrapped__")  # AL-13


def test_secrets_are_not_shown_in_a_records_repr_thr_17():
    record = CodeRecord(
        "c", "alice", "", "https://c.example", "challenge-1", 0, handle="the-secret"
    )

    assert "the-secret" not in repr(record)
    assert "challenge-1" not in repr(record)
    assert dataclasses.is_dataclass(record)


def test_one_time_hashes_of_different_parts_never_meet_dpop_d23():
    assert one_time_hash("ab", "c") != one_time_hash("a", "bc")
    assert one_time_hash("a") != one_time_hash("a", "")
    assert len(one_time_hash("a")) == 32


def test_the_extensions_import_nothing_of_the_application_p_44_dec_10():
    allowed = {"authlib", "joserfc", "cryptography", "flask", "werkzeug", "__future__"}
    framework = {"flask_request.py", "server.py"}
    for module in PACKAGE.glob("*.py"):
        for name in _imports(module):
            if name.startswith("api."):
                assert name.startswith("api.oauth.ext"), (module, name)
            root = name.partition(".")[0]
            assert root in allowed | sys.stdlib_module_names | {"api"}, (module, name)
            if root in {"flask", "werkzeug"}:
                assert module.name in framework, module


def _imports(module):
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module
