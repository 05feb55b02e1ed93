"""One journey of a client that we did not write: PyPI requests-oauth2client.

It is a program of its own, with the input and the lines of `openid_client.mjs`.
"""

from __future__ import annotations

import json
import sys

import requests
from requests_oauth2client import ApiClient, BearerToken, DPoPKey, OAuth2Client, PrivateKeyJwt
from requests_oauth2client.dpop import MissingDPoPNonce
from requests_oauth2client.exceptions import AuthorizationResponseError, EndpointError


def tell(step, **facts):
    print(json.dumps({"step": step, **facts}), flush=True)  # noqa: T201 - its output


def types(details):
    return [each["type"] for each in details]


def read(token, resource):
    try:
        answer = requests.get(resource, auth=token, timeout=10)
    except MissingDPoPNonce as error:
        # Any 401 with a DPoP challenge is taken for a demand of a nonce.
        answer = error.response
    if answer.status_code != 401:
        return {"status": answer.status_code}
    challenge = answer.headers["WWW-Authenticate"]
    found = requests.utils.parse_dict_header(challenge.partition(" ")[2])
    return {"status": 401, "scheme": challenge.split()[0].lower(), "error": found["error"]}


def register(well_known, registration):
    """Register; the package has no word for it, so its client for any API says it."""
    endpoint = requests.get(well_known, timeout=10).json()["registration_endpoint"]
    api = ApiClient(endpoint, auth=BearerToken(registration["initial_access_token"]))
    registered = api.post(json=registration["metadata"]).json()
    tell(
        "registration",
        client_id="string" if isinstance(registered["client_id"], str) else None,
        token_endpoint_auth_method=registered["token_endpoint_auth_method"],
    )
    return registered["client_id"]


def main():
    order = json.loads(sys.stdin.readline())
    issuer = order["issuer"]
    well_known = f"{issuer}/.well-known/oauth-authorization-server"
    if "registration" in order:
        client_id = register(well_known, order["registration"])
    else:
        client_id = order["client_id"]
    client = OAuth2Client.from_discovery_endpoint(
        well_known,
        issuer,
        auth=PrivateKeyJwt(client_id, order["key"], aud=issuer),
        redirect_uri=order["redirect_uri"],
        dpop_bound_access_tokens=True,
        id_token_signed_response_alg="ES256",
        testing=True,  # plain HTTP, on loopback
    )
    tell("discovery", issuer=client.issuer)

    dpop_key = DPoPKey.generate("ES256")
    request = client.authorization_request(
        **{"scope": None, **order["parameters"]},
        authorization_details=json.dumps(order["authorization_details"]),
        dpop_key=dpop_key,
    )
    pushed = client.pushed_authorization_request(request)
    tell("pushed", url=str(pushed))

    try:
        response = request.validate_callback(sys.stdin.readline().strip())
    except AuthorizationResponseError as error:
        tell("refused", error=error.error)
        return
    # It fails on an ID token beside a DPoP token, and only the control issues one.
    token = client.authorization_code(response, validate=False)
    tell(
        "token",
        token_type=token.token_type.lower(),
        refresh_token="string" if isinstance(token.refresh_token, str) else None,
        details=types(token.authorization_details),
    )
    tell("resource", **read(token, order["resource"]))

    refreshed = client.refresh_token(token)
    tell(
        "refresh",
        token_type=refreshed.token_type.lower(),
        fresh=refreshed.access_token != token.access_token,
        rotated=(refreshed.refresh_token or token.refresh_token) != token.refresh_token,
    )
    tell("resource again", **read(refreshed, order["resource"]))

    live = client.introspect_token(refreshed)
    tell(
        "introspection",
        active=live["active"],
        client=live["client_id"] == client_id,
        bound=live["cnf"]["jkt"] == dpop_key.dpop_jkt,
        details=types(live["authorization_details"]),
    )

    client.revoke_access_token(refreshed)
    tell("revocation", active=client.introspect_token(refreshed)["active"])
    tell("resource after revocation", **read(refreshed, order["resource"]))

    client.revoke_refresh_token(token)
    try:
        client.refresh_token(token)
    except EndpointError as error:
        tell("refresh after revocation", status=error.response.status_code, error=error.error)


if __name__ == "__main__":
    main()
