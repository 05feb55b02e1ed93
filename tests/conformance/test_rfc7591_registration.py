"""RFC 7591: dynamic client registration, the extension by itself (AL-14, FAPI-C7, DEC-7)."""

import json

import pytest

from api.oauth.ext.registration_rfc7591 import (
    ClientRegistration,
    InvalidInitialAccessTokenError,
    RegistrationPolicy,
)
from tests.support.oauth_client import new_key, public_jwks

POLICY = RegistrationPolicy(
    grant_types=["authorization_code", "client_credentials", "refresh_token"],
    scopes=["organisation"],
    details_types=["notes"],
    locales=["az", "en"],
)
KEY = new_key("ES256", kid="k1")
METADATA = {
    "token_endpoint_auth_method": "private_key_jwt",
    "client_name": "Xəzər Market",
    "redirect_uris": ["https://client.example/cb"],
    "jwks": public_jwks(KEY),
}
TOKEN = "t0ken"


class Store:
    """What an application would do, in memory: one use of one token."""

    def __init__(self):
        self.registered, self.uses = [], 1

    def find_token(self, token):
        return TOKEN if token == TOKEN else None

    def register(self, token, metadata):
        assert token == TOKEN
        if self.uses == 0:
            raise InvalidInitialAccessTokenError
        self.uses -= 1
        self.registered.append(metadata)
        return "client-1", 1_800_000_000


def post(document, *, authorization=(f"Bearer {TOKEN}",), store=None, **more):
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    request = {"query": b"", "media_type": "application/json", "body": body, **more}
    answer = ClientRegistration(POLICY, store or Store()).answer(
        authorization=list(authorization), **request
    )
    return answer[0], answer[1], dict(answer[2])


def refused(document):
    store = Store()
    status, body, _ = post(document, store=store)
    assert (status, store.registered) == (400, [])
    return body["error"]


def test_what_was_registered_is_answered_section_3_2_1():
    status, body, headers = post(METADATA)

    assert status == 201
    assert headers["Cache-Control"] == "no-store"
    assert body == {
        **METADATA,
        "client_id": "client-1",
        "client_id_issued_at": 1_800_000_000,
        "grant_types": ["authorization_code", "client_credentials", "refresh_token"],
        "response_types": ["code"],
        "scope": "organisation",
        "authorization_details_types": ["notes"],
        "dpop_bound_access_tokens": True,
        "require_pushed_authorization_requests": True,
    }


def test_there_is_no_client_secret_al_14_dec_7():
    """Neither made, nor taken from whoever brings one, nor echoed."""
    _, body, _ = post({**METADATA, "client_secret": "s3cret", "client_secret_expires_at": 0})

    assert "secret" not in json.dumps(body)
    assert "registration_access_token" not in body


def test_what_is_unknown_is_dropped_and_a_client_id_is_the_servers_section_2_bcp_b12():
    _, body, _ = post({**METADATA, "client_id": "mine", "logo_uri": "https://x.example", "x": 1})

    assert body["client_id"] == "client-1"
    assert not {"logo_uri", "x"} & body.keys()


def test_names_by_language_and_the_rest_are_kept_section_2_2():
    more = {
        "client_name#az": "Xəzər",
        "client_name#en": "Khazar",
        "client_uri": "https://client.example",
        "policy_uri": "https://client.example/privacy?l=az",
        "software_id": "crm",
        "software_version": "1.2",
        "initiate_login_uri": "https://client.example/start",
    }
    _, body, _ = post({**METADATA, **more, "client_name#fr": "Caspienne"})

    assert more.items() <= body.items()
    assert "client_name#fr" not in body


@pytest.mark.parametrize(
    "authorization",
    [
        (),
        ("Bearer other",),
        (f"Basic {TOKEN}",),
        (TOKEN,),
        (f"Bearer {TOKEN}", f"Bearer {TOKEN}"),
        (f"Bearer {TOKEN} x",),
        ("Bearer é",),
    ],
)
def test_without_an_initial_access_token_nothing_is_registered_section_3_thr_2(authorization):
    """Nor is it told what would be acceptable."""
    status, body, headers = post({}, authorization=authorization)

    assert (status, body["error"]) == (401, "invalid_token")
    assert headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'


def test_a_token_that_another_registration_spent_registers_nothing_section_3():
    store = Store()

    assert post(METADATA, store=store)[0] == 201
    assert post(METADATA, store=store)[0] == 401


@pytest.mark.parametrize(
    "changed",
    [
        {"token_endpoint_auth_method": None},
        {"token_endpoint_auth_method": "client_secret_basic"},
        {"token_endpoint_auth_method": "none"},
        {"dpop_bound_access_tokens": False},
        {"require_pushed_authorization_requests": False},
        {"grant_types": ["password"]},
        {"grant_types": "authorization_code"},
        {"response_types": ["token"]},
        {"response_types": ["code id_token"]},
        {"authorization_details_types": ["payments"]},
        {"authorization_details_types": [{}]},
        {"scope": "organisation admin"},
        {"scope": ["organisation"]},
    ],
)
def test_a_client_is_served_as_every_client_is_section_2_fapi_g6_fapi_g2(changed):
    document = {name: value for name, value in {**METADATA, **changed}.items() if value is not None}

    assert refused(document) == "invalid_client_metadata"


@pytest.mark.parametrize(
    "uris",
    [
        None,
        [],
        "https://client.example/cb",
        [1],
        ["http://client.example/cb"],
        ["http://127.0.0.1/cb"],
        ["https://client.example/cb#x"],
        ["https://*.example/cb"],
        ["https://u@client.example/cb"],
        ["https://client.example/cb?state=1"],
        ["com.example:/cb"],
        ["https://client.example/cb"] * 2,
        [f"https://client.example/{n}" for n in range(11)],
    ],
)
def test_a_redirect_uri_is_exact_and_https_section_3_2_2_fapi_a8_thr_6(uris):
    assert refused({**METADATA, "redirect_uris": uris}) == "invalid_redirect_uri"


@pytest.mark.parametrize(
    "jwks",
    [
        None,
        {"keys": []},
        {"keys": [KEY.as_dict(private=True)]},
        {"keys": public_jwks(KEY, KEY)["keys"]},
        {"keys": [{"kty": "oct", "k": "AAAA"}]},
        {"keys": [{**KEY.as_dict(private=False), "x5u": "https://x.example"}]},
    ],
)
def test_keys_are_public_and_unambiguous_fapi_c7(jwks):
    assert refused({**METADATA, "jwks": jwks}) == "invalid_client_metadata"


@pytest.mark.parametrize(
    "changed",
    [
        {"client_name": None},
        {"client_name": ""},
        {"client_name": "  "},
        {"client_name": "x" * 121},
        {"client_name": 1},
        {"client_name": "two\nlines"},
        {"client_name": "knaB \u202e"},
        {"client_name": "zero\u200bwidth"},
        {"client_name#az": "\u2066x"},
        {"software_id": ["crm"]},
        {"client_uri": "http://client.example"},
        {"client_uri": "javascript:alert(1)"},
        {"policy_uri": 1},
        {"initiate_login_uri": "https://client.example/start?iss=x"},
    ],
)
def test_what_people_may_see_is_plain_text_and_https_thr_14(changed):
    assert refused({**METADATA, **changed}) == "invalid_client_metadata"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b'"x"',
        b"{",
        b'{"a": NaN}',
        b'{"client_name": "a", "client_name": "b"}',
        b"\xff",
        b'{"a":' * 9 + b"1" + b"}" * 9,
        b"[" * 100_000,
    ],
)
def test_a_body_is_one_plain_json_object_thr_18(body):
    assert refused(body) == "invalid_client_metadata"


@pytest.mark.parametrize(
    "more", [{"query": b"client_name=x"}, {"media_type": "text/json"}, {"media_type": ""}]
)
def test_a_query_or_another_type_is_an_invalid_request_al_9(more):
    status, body, _ = post(METADATA, **more)

    assert (status, body["error"]) == (400, "invalid_request")


def test_keys_by_reference_are_kept_as_that_and_never_beside_others_section_2():
    by_reference = {name: value for name, value in METADATA.items() if name != "jwks"}
    uri = "https://client.example/jwks"

    body = post({**by_reference, "jwks_uri": uri})[1]

    assert body["jwks_uri"] == uri
    assert "jwks" not in body
    assert refused({**METADATA, "jwks_uri": uri}) == "invalid_client_metadata"
    assert refused({**by_reference, "jwks_uri": "http://x.example"}) == "invalid_client_metadata"
    assert refused(by_reference) == "invalid_client_metadata"


def test_a_client_gets_what_it_asks_for_and_no_more_section_2():
    """Least privilege: what it does not name, it does not have; who names nothing has all."""
    store = Store()
    asked = {"grant_types": ["refresh_token", "authorization_code"], "scope": "organisation"}
    _, body, _ = post({**METADATA, **asked}, store=store)
    assert body["grant_types"] == ["authorization_code", "refresh_token"]
    assert store.registered[0].grant_types == body["grant_types"]
    assert store.registered[0].scopes == ["organisation"]

    _, body, _ = post(METADATA)
    assert body["grant_types"] == ["authorization_code", "client_credentials", "refresh_token"]
