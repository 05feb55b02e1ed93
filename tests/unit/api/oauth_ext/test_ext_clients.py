"""What a client may register: keys (FAPI-C4, C5, C7) and redirect URIs (FAPI-A8, THR-6)."""

import pytest
from joserfc.jwk import ECKey

from api.oauth.ext.clients import ConfidentialClient, jwks_fault
from api.oauth.ext.redirects import redirect_uri_fault
from tests.support.oauth_client import new_key, public_jwks

KEY = new_key(kid="a")
PUBLIC = KEY.as_dict(private=False)


@pytest.mark.parametrize("algorithm", ["ES256", "PS256", "Ed25519"])
def test_public_keys_of_accepted_algorithms_may_be_registered(algorithm):
    assert jwks_fault(public_jwks(new_key(algorithm))) is None


def test_several_keys_may_be_registered():
    assert jwks_fault(public_jwks(KEY, new_key(kid="b"), new_key())) is None


@pytest.mark.parametrize(
    "jwks",
    [
        None,
        [],
        {},
        {"keys": {}},
        {"keys": []},
        {"keys": [PUBLIC] * 21},
        {"keys": ["x"]},
        {"keys": [{}]},
        {"keys": [PUBLIC, PUBLIC]},
        {"keys": [{**PUBLIC, "kid": ""}]},
        {"keys": [{**PUBLIC, "kid": ["a"]}]},
        {"keys": [{**PUBLIC, "jku": "https://evil.example"}]},
        {"keys": [{**PUBLIC, "x5u": "https://evil.example"}]},
        {"keys": [{**PUBLIC, "x5c": ["MII"]}]},
        {"keys": [{**PUBLIC, "use": "enc"}]},
        {"keys": [{**PUBLIC, "alg": "ES384"}]},
        {"keys": [{**PUBLIC, "key_ops": ["encrypt"]}]},
        {"keys": [{**PUBLIC, "key_ops": 5}]},
        {"keys": [{**PUBLIC, "crv": "P-384"}]},
        {"keys": [{**PUBLIC, "crv": "P-192"}]},
        {"keys": [{**PUBLIC, "crv": "secp256k1"}]},
        {"keys": [ECKey.generate_key("P-384").as_dict(private=False)]},
        {"keys": [ECKey.generate_key("secp256k1").as_dict(private=False)]},
        {"keys": [{"kty": "oct", "k": "AAAA"}]},
        {"keys": [KEY.as_dict(private=True)]},
        {"keys": [new_key("PS256", bits=1024).as_dict(private=False)]},
    ],
)
def test_other_key_sets_may_not_be_registered_fapi_c4_fapi_c5_fapi_c7(jwks):
    assert jwks_fault(jwks)


@pytest.mark.parametrize(
    "uri",
    [
        "https://client.example/cb",
        "https://client.example:8443/cb?tenant=1",
        "https://client.example",
    ],
)
def test_https_redirect_uris_may_be_registered_fapi_a8(uri):
    assert redirect_uri_fault(uri) is None


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "cb",
        "http://client.example/cb",
        "http://127.0.0.1/cb",
        "http://localhost/cb",
        "javascript:alert(1)",
        "com.example.app:/cb",
        "https:///cb",
        "https://*.client.example/cb",
        "https://client.example/*",
        "https://client.example/cb#x",
        "https://client.example/cb#",
        "https://user@client.example/cb",
        "https://user:pw@client.example/cb",
        "https://client.example\\@evil.example/cb",
        "https://client.example\\evil.example/cb",
        "https://client.example/c b",
        "https://client.example/c\nb",
        "https://client.example/ə",
        "https://client.example:x/cb",
        "https://[::1/cb",
        "https://client.example/" + "x" * 2000,
        "https://client.example/cb?iss=https%3A%2F%2Fevil.example",
        "https://client.example/cb?code=",
        "https://client.example/cb?state",
    ],
)
def test_other_redirect_uris_may_not_be_registered_fapi_a8_thr_6(uri):
    assert redirect_uri_fault(uri)


@pytest.mark.parametrize(
    ("uri", "is_accepted"),
    [
        ("http://127.0.0.1:8400/cb", True),
        ("http://localhost/cb", False),
        ("http://127.0.0.1.evil.example/cb", False),
        ("http://client.example/cb", False),
    ],
)
def test_loopback_is_for_demonstrations_only_p_37(uri, is_accepted):
    assert (redirect_uri_fault(uri, loopback=True) is None) is is_accepted


def test_there_is_no_client_secret_al_15_dec_7_bcp_b11():
    client = ConfidentialClient("c", public_jwks(KEY))

    assert not client.check_client_secret("")
    assert not hasattr(client, "client_secret")
    assert not client.check_endpoint_auth_method("none", "token")
    assert not client.check_endpoint_auth_method("client_secret_basic", "token")


def test_a_client_has_no_default_redirect_uri_fapi_a6():
    client = ConfidentialClient("c", public_jwks(KEY), redirect_uris=("https://c.example/cb",))

    assert client.get_default_redirect_uri() is None
