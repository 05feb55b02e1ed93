"""Clients that we did not write, against our server and against the control (DEC-12).

The same programs run on both, so that what fails on ours alone is ours.
"""

from __future__ import annotations

import pytest

from tests.interop.programs import journey
from tests.interop.servers import ALGORITHMS
from tests.support.oauth_client import public_jwks
from tests.support.publishing import publishing

DETAILS = ["data-sharing-agreement"]
JOURNEY = {
    "pushed": {},
    "token": {"token_type": "dpop", "refresh_token": "string", "details": DETAILS},
    "resource": {"status": 200},
    "refresh": {"token_type": "dpop", "fresh": True, "rotated": False},
    "resource again": {"status": 200},
    "introspection": {"active": True, "client": True, "bound": True, "details": DETAILS},
    "revocation": {"active": False},
    "resource after revocation": {"status": 401, "scheme": "dpop", "error": "invalid_token"},
    "refresh after revocation": {"status": 400, "error": "invalid_grant"},
}
REGISTERED = {"client_id": "string", "token_endpoint_auth_method": "private_key_jwt"}

pytestmark = pytest.mark.interop
each_client = pytest.mark.parametrize("client", ALGORITHMS)
JWKS, JWKS_URI = "jwks", "jwks_uri"


def discovered(order):
    """Return what a client tells of the server's metadata."""
    return {"discovery": {"issuer": order["issuer"]}}


@pytest.fixture(params=["ours", "control"])
def server(request):
    """Give our server, and the control."""
    return request.getfixturevalue(request.param)


@pytest.fixture
def publisher():
    """Give a client's own server."""
    with publishing() as publisher:
        yield publisher


@pytest.fixture
def registers(keys, publisher):
    """Return the keys of a client's metadata, in the text or where they are published."""

    def in_metadata(client, member):
        publisher.publish(keys[client])
        by_member = {JWKS: public_jwks(keys[client]), JWKS_URI: publisher.url}
        return {member: by_member[member]}

    return in_metadata


@each_client
def test_a_foreign_client_gets_tokens_reads_refreshes_and_revokes_dec_12(server, client, tmp_path):
    order = server.order(client)

    steps = journey(client, order, server.browser("allow"), errors=tmp_path / "errors")

    assert steps == {**discovered(order), **JOURNEY}


@pytest.mark.parametrize(
    ("client", "member"), [(client, JWKS) for client in ALGORITHMS] + [("openid-client", JWKS_URI)]
)
def test_a_foreign_client_registers_and_does_the_same_dec_12(
    server, client, member, registers, tmp_path
):
    """RFC 7591 section 3, with an initial access token."""
    order = server.order(client, registers=registers(client, member))

    steps = journey(client, order, server.browser("allow"), errors=tmp_path / "errors")

    assert steps == {"registration": REGISTERED, **discovered(order), **JOURNEY}


@pytest.mark.postgresql
def test_a_foreign_client_does_the_same_on_postgresql_dec_12(
    ours_on_postgresql, registers, tmp_path
):
    client, server = "openid-client", ours_on_postgresql
    order = server.order(client, registers=registers(client, JWKS))

    steps = journey(client, order, server.browser("allow"), errors=tmp_path / "errors")

    assert steps == {"registration": REGISTERED, **discovered(order), **JOURNEY}


@each_client
def test_a_foreign_client_is_told_of_a_refusal_dec_12_oidf_3(server, client, tmp_path):
    order = server.order(client)

    steps = journey(client, order, server.browser("refuse"), errors=tmp_path / "errors")

    assert steps["refused"] == {"error": "access_denied"}
    assert "token" not in steps
