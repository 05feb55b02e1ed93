"""Clients that we did not write, against our server and against the control (DEC-12).

The same programs run on both, so that what fails on ours alone is ours.
"""

from __future__ import annotations

import pytest

from tests.interop.programs import journey
from tests.interop.servers import ALGORITHMS

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

pytestmark = pytest.mark.interop
each_client = pytest.mark.parametrize("client", ALGORITHMS)


@pytest.fixture(params=["ours", "control"])
def server(request):
    """Give our server, and the control."""
    return request.getfixturevalue(request.param)


@each_client
def test_a_foreign_client_gets_tokens_reads_refreshes_and_revokes_dec_12(server, client, tmp_path):
    order = server.order(client)

    steps = journey(client, order, server.browser("allow"), errors=tmp_path / "errors")

    assert steps == {"discovery": {"issuer": order["issuer"]}, **JOURNEY}


@each_client
def test_a_foreign_client_is_told_of_a_refusal_dec_12_oidf_3(server, client, tmp_path):
    order = server.order(client)

    steps = journey(client, order, server.browser("refuse"), errors=tmp_path / "errors")

    assert steps["refused"] == {"error": "access_denied"}
    assert "token" not in steps
