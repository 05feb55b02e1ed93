"""RFC 9126: pushed authorization requests."""

from urllib.parse import urlencode

import httpx
import pytest

from tests.support.oauth_client import ASSERTION_TYPE, OMIT, Callback, pkce_pair
from tests.support.oauth_ext_server import CALLBACK, ISSUER, World

PREFIX = "urn:ietf:params:oauth:request_uri:"
CHALLENGE = pkce_pair()[1]


@pytest.fixture(name="world")
def _world():
    return World()


def is_refused(answer, error):
    """Tell whether it is an OAuth error for the client's server: JSON, and no redirect."""
    return (
        answer.status_code == 400
        and answer.json()["error"] == error
        and "Location" not in answer.headers
        and answer.headers["Cache-Control"] == "no-store"
    )


def test_a_push_is_answered_201_and_not_stored_par_p5_fapi_a2_fapi_a12_ext_1(world):
    answer = world.client.push(CHALLENGE)

    assert answer.status_code == 201
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Content-Type"] == "application/json"
    body = answer.json()
    assert set(body) == {"request_uri", "expires_in"}
    assert body["request_uri"].startswith(PREFIX)
    assert 5 <= body["expires_in"] < 600


def test_get_is_405_par_p1_oidf_36(world):
    answer = world.http.get(f"{ISSUER}/par", params={"client_id": "client-1"})

    assert answer.status_code == 405
    assert answer.json()["error"] == "invalid_request"


def test_a_request_uri_cannot_be_pushed_par_p2_oidf_35(world):
    first = world.pushed(world.client, CHALLENGE)

    assert is_refused(world.client.push(CHALLENGE, request_uri=first), "invalid_request")


def test_a_request_object_is_not_supported_par_p12(world):
    assert is_refused(world.client.push(CHALLENGE, request="e30.e30.x"), "request_not_supported")


def test_a_push_needs_client_authentication_par_p3_fapi_a4_ext_5(world):
    assert is_refused(world.client.push(CHALLENGE, assertion=OMIT), "invalid_client")


@pytest.mark.parametrize("name", ["client_id", "response_type", "redirect_uri"])
def test_each_parameter_is_required_par_p4_fapi_a6_oidf_17(world, name):
    assert is_refused(world.client.push(CHALLENGE, **{name: OMIT}), "invalid_request")


@pytest.mark.parametrize("name", ["client_id", "response_type", "redirect_uri"])
def test_an_empty_parameter_is_a_missing_one_rfc6749_section_3_1(world, name):
    assert is_refused(world.client.push(CHALLENGE, **{name: ""}), "invalid_request")


@pytest.mark.parametrize(
    "response_type", ["token", "code id_token", "code token", "none", 'c"de', "id_token"]
)
def test_only_code_is_a_response_type_fapi_a1_oidf_18_bcp_b6(world, response_type):
    answer = world.client.push(CHALLENGE, response_type=response_type)

    assert is_refused(answer, "unsupported_response_type")


@pytest.mark.parametrize(
    "redirect_uri",
    [
        "https://evil.example/cb",
        CALLBACK + "/",
        CALLBACK + "?x=1",
        CALLBACK + "#x",
        CALLBACK.upper(),
        "https://client.example:443/cb",
        'https://client.example/cb"',
        "https://client.example/cb\\",
        "https://client.example/é",
    ],
)
def test_a_redirect_uri_must_be_exactly_registered_par_p10_bcp_b1_oidf_15(world, redirect_uri):
    answer = world.client.push(CHALLENGE, redirect_uri=redirect_uri)

    assert is_refused(answer, "invalid_request")


def test_errors_of_validation_go_to_the_client_not_the_browser_al_11(world):
    answer = world.client.push(CHALLENGE, scope="nobody-has-this", state="abc")

    assert is_refused(answer, "invalid_scope")


def test_a_foreign_client_id_in_the_body_is_refused_al_6(world):
    assert is_refused(world.client.push(CHALLENGE, client_id="client-2"), "invalid_client")


def test_request_uris_are_random_and_single_par_p6(world):
    uris = {world.pushed(world.client, CHALLENGE) for _ in range(20)}

    assert len(uris) == 20


def test_client_credentials_are_not_part_of_what_is_stored_par_p4(world):
    uri = world.pushed(world.client, CHALLENGE)

    stored, _, _ = world.memory.pushed[uri]
    assert not {"client_assertion", "client_assertion_type"} & set(stored.payload)


def test_a_request_uri_is_bound_to_its_client_par_p7_oidf_34(world):
    uri = world.pushed(world.client, CHALLENGE)

    answer = world.http.get(world.other.authorization_url(uri))

    assert is_refused(answer, "invalid_request_uri")


def test_a_store_that_forgets_to_compare_clients_is_not_believed_par_p7(world):
    uri = world.pushed(world.client, CHALLENGE)
    world.memory.load = lambda request_uri, _client_id: world.memory.pushed[request_uri][0]

    answer = world.http.get(world.other.authorization_url(uri))

    assert is_refused(answer, "invalid_request_uri")


def test_a_request_uri_works_until_it_expires_par_p9_oidf_32(world):
    uri = world.pushed(world.client, CHALLENGE)
    url = world.client.authorization_url(uri)

    with world.later(299):
        assert world.http.get(url).status_code == 200
    with world.later(300):
        assert is_refused(world.http.get(url), "invalid_request_uri")


def test_a_request_uri_survives_two_visits_and_one_decision_par_p8_dec_5_oidf_31(world):
    uri = world.pushed(world.client, CHALLENGE)
    url = world.client.authorization_url(uri)

    assert world.http.get(url).status_code == 200
    assert world.http.get(url).status_code == 200
    assert world.decide(world.client, uri).status_code == 303
    assert is_refused(world.decide(world.client, uri), "invalid_request_uri")
    assert is_refused(world.http.get(url), "invalid_request_uri")


@pytest.mark.parametrize(
    "request_uri", ["https://evil.example/r.jwt", "urn:x", PREFIX, PREFIX + "x" * 600, PREFIX + "x"]
)
def test_another_request_uri_is_refused_and_nothing_fetched_par_p7_thr_8(world, request_uri):
    answer = world.http.get(world.client.authorization_url(request_uri))

    assert is_refused(answer, "invalid_request_uri")


def test_a_request_without_par_is_refused_and_goes_nowhere_fapi_a3_oidf_16_ext_5(world):
    parameters = world.client.request_parameters(CHALLENGE)

    answer = world.http.get(f"{ISSUER}/authorize", params=parameters)

    assert is_refused(answer, "invalid_request")


@pytest.mark.parametrize("client_id", [OMIT, "nobody"])
def test_an_unknown_client_is_never_redirected_thr_6_fapi_g7(world, client_id):
    uri = world.pushed(world.client, CHALLENGE)
    query = {"request_uri": uri} if client_id is OMIT else {"request_uri": uri, "client_id": "x"}

    answer = world.http.get(f"{ISSUER}/authorize", params=query)

    assert answer.status_code == 400
    assert "Location" not in answer.headers


def test_what_the_browser_adds_counts_for_nothing_ext_2(world):
    uri = world.pushed(world.client, CHALLENGE, scope="organisation")

    answer = world.http.get(
        world.client.authorization_url(
            uri, scope="audit", redirect_uri="https://evil.example/", state="evil"
        )
    )

    asked = answer.json()["asked"]
    assert (asked["scope"], asked["redirect_uri"]) == ("organisation", CALLBACK)
    assert asked["state"] == "state-1"


def test_a_redirect_uri_removed_after_the_push_is_refused_without_redirect_par_p4(world):
    uri = world.pushed(world.client, CHALLENGE)
    world.register("client-1", redirect_uris=("https://client.example/new",))

    answer = world.decide(world.client, uri)

    assert is_refused(answer, "invalid_request")


@pytest.mark.parametrize("name", ["state", "scope", "code_challenge", "x", "client_assertion"])
def test_a_repeated_parameter_is_refused_oidf_38_al_9(world, name):
    answer = world.client.push(CHALLENGE, **{name: ["a", "a"]})

    assert is_refused(answer, "invalid_request")


def test_a_query_string_is_refused_al_9(world):
    answer = world.client.post(
        "pushed_authorization_request",
        world.client.request_parameters(CHALLENGE),
        url=f"{ISSUER}/par?client_id=client-2",
        proof=OMIT,
    )

    assert is_refused(answer, "invalid_request")


def test_another_body_type_is_refused_al_9(world):
    form = {
        **world.client.request_parameters(CHALLENGE),
        "client_assertion_type": ASSERTION_TYPE,
        "client_assertion": world.client.assertion(),
    }

    as_json = world.http.post(f"{ISSUER}/par", json=form)
    as_multipart = world.http.post(
        f"{ISSUER}/par", files={name: (None, value) for name, value in form.items()}
    )

    assert is_refused(as_json, "invalid_request")
    assert is_refused(as_multipart, "invalid_request")


def test_a_large_body_is_413_par_p11(world):
    answer = world.client.push(CHALLENGE, state="x" * 70_000)

    assert answer.status_code == 413
    assert answer.json()["error"] == "invalid_request"


@pytest.mark.parametrize(("size", "status"), [(1_000, 201), (70_000, 413)])
def test_a_body_that_does_not_say_its_length_is_limited_too_par_p11(world, size, status):
    """As a server gives it that reads chunks: werkzeug would cut it at the limit and go on."""

    def app(environ, start_response):
        return world.app({**environ, "wsgi.input_terminated": True}, start_response)

    client = world.client
    form = {"client_assertion": client.assertion(), "client_assertion_type": ASSERTION_TYPE}
    form |= client.request_parameters(CHALLENGE, padding="x" * size)
    with httpx.Client(transport=httpx.WSGITransport(app=app)) as http:
        answer = http.post(
            f"{ISSUER}/par",
            content=iter([urlencode(form).encode()]),
            headers={"Content-Type": "application/x-www-form-urlencoded"},
        )

    assert "Content-Length" not in answer.request.headers
    assert answer.status_code == status


def test_a_long_state_survives_unchanged_fapi_a14_oidf_7(world):
    state = "s&=+/ %" + "x" * 1500
    uri = world.pushed(world.client, CHALLENGE, state=state, nonce="n" * 64)

    callback = Callback.of(world.decide(world.client, uri).headers["Location"])

    assert callback["state"] == state


def test_no_state_is_answered_without_one_oidf_4(world):
    uri = world.pushed(world.client, CHALLENGE, state=OMIT)

    assert "state" not in Callback.of(world.decide(world.client, uri).headers["Location"])


def test_a_duplicate_parameter_at_authorize_is_refused_oidf_38(world):
    uri = world.pushed(world.client, CHALLENGE)

    answer = world.http.get(world.client.authorization_url(uri) + "&client_id=client-1")

    assert is_refused(answer, "invalid_request")
