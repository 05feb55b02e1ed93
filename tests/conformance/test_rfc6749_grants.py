"""RFC 6749 grants as FAPI 2.0 and RFC 9700 leave them: codes, refresh, client credentials."""

import logging

import pytest

from tests.support.oauth_client import OMIT, Client
from tests.support.oauth_ext_server import ISSUER, World


@pytest.fixture(name="world")
def _world():
    return World()


def is_refused(answer, error="invalid_grant"):
    return answer.status_code == 400 and answer.json()["error"] == error


def test_the_token_response_is_complete_and_not_stored_section_5_1(world):
    answer = world.client.redeem(*world.code(scope="organisation"))

    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Content-Type"] == "application/json"
    body = answer.json()
    assert set(body) == {"access_token", "token_type", "expires_in", "scope", "refresh_token"}


def test_an_access_token_lives_ten_minutes_at_most_al_2_dec_8(world):
    body = world.tokens()

    assert 300 <= body["expires_in"] <= 600
    with world.later(599):
        assert world.client.get(f"{ISSUER}/v1/notes", body["access_token"]).status_code == 200
    with world.later(600):
        assert world.client.get(f"{ISSUER}/v1/notes", body["access_token"]).status_code == 401


@pytest.mark.parametrize(("age", "status"), [(0, 200), (59, 200), (60, 400), (3600, 400)])
def test_a_code_lives_less_than_a_minute_al_3_fapi_g11_oidf_23(world, age, status):
    code, verifier = world.code()

    with world.later(age):
        assert world.client.redeem(code, verifier).status_code == status


def test_a_code_works_once_fapi_a9_al_4_oidf_22(world):
    code, verifier = world.code()
    world.client.redeem(code, verifier)

    with world.later(1):
        assert is_refused(world.client.redeem(code, verifier))


def test_reusing_a_code_ends_its_tokens_bcp_b16_al_4(world):
    code, verifier = world.code()
    body = world.client.redeem(code, verifier).json()

    world.client.redeem(code, verifier)

    assert is_refused(world.client.refresh(body["refresh_token"]))
    assert world.client.introspect(body["access_token"]).json() == {"active": False}


def test_a_code_is_bound_to_its_client_oidf_21(world):
    code, verifier = world.code()

    assert is_refused(world.other.redeem(code, verifier))


@pytest.mark.parametrize("redirect_uri", [OMIT, "https://client.example/other", "x"])
def test_the_redirect_uri_is_repeated_at_the_token_endpoint_section_4_1_3_al_14(
    world, redirect_uri
):
    code, verifier = world.code()

    assert is_refused(world.client.redeem(code, verifier, redirect_uri=redirect_uri))


@pytest.mark.parametrize(
    ("code", "error"), [(OMIT, "invalid_request"), ("x", "invalid_grant"), ("é", "invalid_grant")]
)
def test_an_unknown_code_is_refused_section_5_2(world, code, error):
    _, verifier = world.code()

    assert is_refused(world.client.redeem(code, verifier), error)


def test_a_client_without_refresh_gets_no_refresh_token_fapi_g14(world):
    client = world.register("client-3", grant_types=frozenset({"authorization_code"}))

    assert "refresh_token" not in world.tokens(client)


@pytest.mark.parametrize(
    "grant_type", ["authorization_code", "refresh_token", "client_credentials"]
)
def test_a_client_uses_only_its_grant_types_section_5_2(world, grant_type):
    client = world.register("client-3", grant_types=frozenset())

    answer = client.post(
        "token", {"grant_type": grant_type, "code": "x", "refresh_token": "x", "scope": "audit"}
    )

    assert is_refused(answer, "unauthorized_client")


@pytest.mark.parametrize(
    "grant_type",
    ["password", "implicit", "urn:ietf:params:oauth:grant-type:jwt-bearer", 'x"y', OMIT, ""],
)
def test_other_grant_types_do_not_exist_fapi_g2_bcp_b10_dec_9(world, grant_type):
    answer = world.client.post(
        "token", {"grant_type": grant_type, "username": "alice", "password": "x"}
    )

    assert is_refused(answer, "unsupported_grant_type")


def test_a_refresh_token_does_not_rotate_dec_1_fapi_g9(world):
    refresh = world.tokens()["refresh_token"]

    first, second = world.client.refresh(refresh), world.client.refresh(refresh)

    assert (first.status_code, second.status_code) == (200, 200)
    assert "refresh_token" not in first.json()
    assert first.json()["access_token"] != second.json()["access_token"]


def test_a_refresh_whose_answer_was_lost_is_repeated_oidf_30(world):
    refresh = world.tokens()["refresh_token"]
    world.client.refresh(refresh)

    with world.later(30):
        assert world.client.refresh(refresh).status_code == 200


def test_a_refresh_token_is_bound_to_its_client_bcp_b8_oidf_30(world):
    refresh = world.tokens()["refresh_token"]

    assert is_refused(world.other.refresh(refresh))
    assert is_refused(world.client.refresh(refresh, assertion=OMIT), "invalid_client")


def test_foreign_and_unknown_refresh_tokens_look_alike_thr_11(world):
    refresh = world.tokens()["refresh_token"]

    foreign, unknown = world.other.refresh(refresh), world.other.refresh("rt.unknown")

    assert foreign.content == unknown.content


def test_a_refresh_token_ends_al_13(world):
    refresh = world.tokens()["refresh_token"]

    with world.later(86_400):
        assert is_refused(world.client.refresh(refresh))


def test_an_access_token_is_no_refresh_token(world):
    assert is_refused(world.client.refresh(world.tokens()["access_token"]))


def test_a_refresh_without_a_token_is_refused_section_6(world):
    assert is_refused(world.client.refresh(OMIT), "invalid_request")


def test_a_refresh_may_narrow_the_scope_and_not_widen_it_section_6(world):
    client = world.register("client-3", scopes=frozenset({"organisation", "audit"}))
    refresh = world.tokens(client, scope="organisation audit")["refresh_token"]
    small = world.tokens(client, scope="organisation")["refresh_token"]

    assert client.refresh(refresh, scope="audit").json()["scope"] == "audit"
    assert client.refresh(refresh).json()["scope"] == "organisation audit"
    assert is_refused(client.refresh(small, scope="audit"), "invalid_scope")
    assert is_refused(
        client.refresh(world.tokens(client)["refresh_token"], scope="audit"), "invalid_scope"
    )


def test_client_credentials_give_the_clients_own_scope_dec_9(world):
    body = world.client.client_credentials("organisation").json()

    assert body["scope"] == "organisation"
    assert "refresh_token" not in body
    introspected = world.client.introspect(body["access_token"]).json()
    assert "sub" not in introspected
    assert "authorization_details" not in introspected


@pytest.mark.parametrize("scope", ["audit", "organisation audit", "unknown", "", " ", OMIT])
def test_client_credentials_give_nobody_elses_scope_bcp_b9(world, scope):
    """Authlib would check the server's list only, and `audit` is on it."""
    assert is_refused(world.client.client_credentials(scope), "invalid_scope")


@pytest.mark.parametrize("scope", ["audit", "organisation audit", 'a"b'])
def test_a_pushed_scope_must_be_the_clients_bcp_b9(world, scope):
    answer = world.client.push("A" * 43, scope=scope)

    assert is_refused(answer, "invalid_scope")


def test_a_query_string_at_the_token_endpoint_is_refused_al_9(world):
    form = {"grant_type": "client_credentials", "scope": "organisation"}

    for query in ("scope=audit", "client_id=client-2", "x"):
        answer = world.client.post("token", form, url=f"{ISSUER}/token?{query}")
        assert is_refused(answer, "invalid_request")


@pytest.mark.parametrize(
    "parameter", ["grant_type", "scope", "client_assertion", "client_assertion_type", "x"]
)
def test_a_repeated_parameter_is_refused_section_3_2_oidf_38(world, parameter):
    form = {"grant_type": "client_credentials", "scope": "organisation", "x": "1"}
    client: Client = world.client
    sent = {**form, "client_assertion": client.assertion(), "client_assertion_type": "urn:x"}

    answer = client.post(
        "token", {**sent, parameter: [sent[parameter], sent[parameter]]}, assertion=OMIT
    )

    assert is_refused(answer, "invalid_request")


def test_get_issues_nothing_section_3_2(world):
    answer = world.http.get(
        f"{ISSUER}/token", params={"grant_type": "client_credentials", "scope": "organisation"}
    )

    assert is_refused(answer, "unsupported_grant_type")


def test_no_issued_secret_reaches_a_log_thr_17(world, caplog):
    caplog.set_level(logging.DEBUG)

    code, verifier = world.code()
    body = world.client.redeem(code, verifier).json()
    refreshed = world.client.refresh(body["refresh_token"]).json()
    credentials = world.client.client_credentials("organisation").json()

    secrets = [code, verifier, body["access_token"], body["refresh_token"]]
    secrets += [refreshed["access_token"], credentials["access_token"]]
    assert not [secret for secret in secrets if secret in caplog.text]
