"""How a resource server reads credentials (RFC 6750, RFC 9449 section 7.1)."""

import pytest
from authlib.oauth2.rfc6749 import InvalidRequestError

from api.oauth.ext.dpop_resource import InvalidTokenError, MissingTokenError, presented_token


def test_the_token_of_the_dpop_scheme_is_returned_fapi_r1():
    assert presented_token(["DPoP abc-._~+/9=="]) == "abc-._~+/9=="


def test_no_header_is_no_credentials_dpop_d18():
    with pytest.raises(MissingTokenError):
        presented_token([])


@pytest.mark.parametrize(
    "value",
    ["", "DPoP", "DPoP ", "DPoP é", "DPoP a b", "DPoP a, DPoP b", "Basic abc", "Bearer abc"],
)
def test_anything_else_is_an_invalid_token_dpop_d15(value):
    with pytest.raises(InvalidTokenError):
        presented_token([value])


def test_two_headers_are_an_invalid_request_rfc6750_section_2():
    with pytest.raises(InvalidRequestError):
        presented_token(["DPoP a", "DPoP a"])


def test_a_token_in_the_query_is_refused_even_beside_a_header_fapi_r2():
    with pytest.raises(InvalidRequestError):
        presented_token(["DPoP a"], query={"access_token": "a"})
