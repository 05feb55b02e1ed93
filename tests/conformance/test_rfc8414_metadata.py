"""RFC 8414: what the server says about itself (FAPI-G1, OIDF-1)."""

import pytest

from api.oauth.ext.compact_jws import ALGORITHMS
from api.oauth.ext.metadata_rfc8414 import Endpoints, metadata, metadata_path
from tests.support.oauth_ext_server import ISSUER, METADATA

ENDPOINTS = {
    "authorization": f"{ISSUER}/authorize",
    "token": f"{ISSUER}/token",
    "pushed_authorization_request": f"{ISSUER}/par",
    "revocation": f"{ISSUER}/revoke",
    "introspection": f"{ISSUER}/introspect",
}


def build(*, issuer=ISSUER, **endpoints):
    return metadata(
        issuer, Endpoints(**{**ENDPOINTS, **endpoints}), scopes=["a"], details_types=["b"]
    )


def test_the_profile_is_announced_fapi_g1_par_p13_bcp_b5_dpop_d18():
    assert METADATA["issuer"] == ISSUER
    assert METADATA["require_pushed_authorization_requests"] is True
    assert METADATA["authorization_response_iss_parameter_supported"] is True
    assert METADATA["code_challenge_methods_supported"] == ["S256"]
    assert METADATA["response_types_supported"] == ["code"]
    assert METADATA["response_modes_supported"] == ["query"]
    assert METADATA["dpop_signing_alg_values_supported"] == list(ALGORITHMS)


@pytest.mark.parametrize("endpoint", ["token", "revocation", "introspection"])
def test_only_private_key_jwt_is_offered_fapi_g6(endpoint):
    prefix = f"{endpoint}_endpoint_auth"

    assert METADATA[f"{prefix}_methods_supported"] == ["private_key_jwt"]
    assert METADATA[f"{prefix}_signing_alg_values_supported"] == list(ALGORITHMS)


def test_grant_types_are_the_three_of_dec_9():
    assert METADATA["grant_types_supported"] == [
        "authorization_code",
        "refresh_token",
        "client_credentials",
    ]


def test_what_is_not_offered_is_absent_section_2():
    assert "registration_endpoint" not in METADATA
    assert "grant_management_endpoint" not in METADATA


def test_grant_management_is_announced_where_offered_gm_m11():
    document = metadata(
        ISSUER,
        Endpoints(**ENDPOINTS, grant_management=f"{ISSUER}/grants", registration=f"{ISSUER}/reg"),
        scopes=["a"],
        details_types=["b"],
        grant_management_actions=["query", "revoke"],
        ui_locales=["az", "en"],
        documentation=f"{ISSUER}/docs",
    )

    assert document["grant_management_endpoint"] == f"{ISSUER}/grants"
    assert document["grant_management_actions_supported"] == ["query", "revoke"]
    assert document["ui_locales_supported"] == ["az", "en"]
    assert document["registration_endpoint"] == f"{ISSUER}/reg"


@pytest.mark.parametrize(
    "changed", ["issuer", "authorization", "token", "pushed_authorization_request", "revocation"]
)
def test_plain_http_is_refused_section_2_bcp_b13(changed):
    with pytest.raises(ValueError, match="https"):
        build(**{changed: "http://as.example/x"})


def test_an_issuer_with_a_query_is_refused_section_2():
    with pytest.raises(ValueError, match="issuer"):
        build(issuer=f"{ISSUER}?x=1")


@pytest.mark.parametrize(
    ("issuer", "path"),
    [
        ("https://a.example", "/.well-known/oauth-authorization-server"),
        ("https://a.example/t1", "/.well-known/oauth-authorization-server/t1"),
    ],
)
def test_the_well_known_part_comes_first_section_3_1(issuer, path):
    assert metadata_path(issuer) == path
