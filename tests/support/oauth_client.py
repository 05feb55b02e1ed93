"""An independent OAuth client for tests: assertions, proofs, PKCE, PAR, over any httpx client.

It signs with joserfc and shares no code with the server, so that an error in one is not hidden by
the same error in the other. Every function that makes a JWT takes `tamper` knobs: a claim or
header member set to `OMIT` is left out.
"""

import base64
import hashlib
import json
import secrets
import time
import warnings
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit

import httpx
from joserfc import jws
from joserfc.errors import SecurityWarning
from joserfc.jwk import ECKey, OKPKey, RSAKey

OMIT = object()
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


def new_key(algorithm="ES256", *, kid=None, bits=2048):
    """Return a fresh private key for a JWS algorithm."""
    parameters = {"kid": kid} if kid else None
    match algorithm:
        case "ES256":
            return ECKey.generate_key("P-256", parameters)
        case "EdDSA" | "Ed25519":
            return OKPKey.generate_key("Ed25519", parameters)
        case "PS256" | "RS256":
            with warnings.catch_warnings():
                # joserfc warns of keys below 2048 bits; a test needs one.
                warnings.simplefilter("ignore", SecurityWarning)
                return RSAKey.generate_key(bits, parameters)
    raise ValueError(algorithm)


def algorithm_of(key):
    """Return the algorithm that the profile would use with a key."""
    return {"EC": "ES256", "OKP": "Ed25519", "RSA": "PS256", "oct": "HS256"}[key.key_type]


def public_jwks(*keys):
    """Return the JWK Set that a client registers."""
    return {"keys": [key.as_dict(private=False) for key in keys]}


def b64u(data):
    """Return base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def without_omitted(members):
    """Return the members that are not `OMIT`."""
    return {name: value for name, value in members.items() if value is not OMIT}


def sign(header, claims, key):
    """Return a compact JWS of any header and claims, however wrong; `none` has no signature."""
    header, claims = without_omitted(header), without_omitted(claims)
    signing_input = f"{b64u(json.dumps(header).encode())}.{b64u(json.dumps(claims).encode())}"
    algorithm = jws.JWSRegistry.algorithms.get(str(header.get("alg")))
    if algorithm is None or algorithm.name == "none":
        return f"{signing_input}."
    with warnings.catch_warnings():
        # joserfc warns of short keys and old names; some tests are about them.
        warnings.simplefilter("ignore", SecurityWarning)
        return f"{signing_input}.{b64u(algorithm.sign(signing_input.encode(), key))}"


def private_key_jwt(key, client_id, issuer, *, now=None, header=(), claims=()):
    """Return a client assertion (RFC 7523); `header` and `claims` override or omit members."""
    now = int(time.time()) if now is None else now
    kid = {"kid": key.kid} if key.kid else {}
    return sign(
        {"alg": algorithm_of(key), **kid, **dict(header)},
        {
            "iss": client_id,
            "sub": client_id,
            "aud": issuer,
            "jti": secrets.token_urlsafe(16),
            "iat": now,
            "exp": now + 60,
            **dict(claims),
        },
        key,
    )


def dpop_proof(key, method, url, *, now=None, access_token=None, header=(), claims=()):
    """Return a DPoP proof (RFC 9449); `header` and `claims` override or omit members."""
    now = int(time.time()) if now is None else now
    hashed = {"ath": ath(access_token)} if access_token is not None else {}
    return sign(
        {
            "typ": "dpop+jwt",
            "alg": algorithm_of(key),
            "jwk": key.as_dict(private=False),
            **dict(header),
        },
        {
            "jti": secrets.token_urlsafe(16),
            "htm": method,
            "htu": url,
            "iat": now,
            **hashed,
            **dict(claims),
        },
        key,
    )


def ath(access_token):
    """Return the `ath` of an access token."""
    return b64u(hashlib.sha256(access_token.encode()).digest())


def jkt(key):
    """Return a key's thumbprint (RFC 7638)."""
    return key.thumbprint()


def pkce_pair():
    """Return a verifier and its S256 challenge."""
    verifier = secrets.token_urlsafe(48)
    return verifier, b64u(hashlib.sha256(verifier.encode()).digest())


def agreement_details(template, template_sha256, *, attributes, optional_attributes=(), **members):
    """Return `authorization_details` that ask for one data-sharing agreement."""
    detail = {
        "type": "data-sharing-agreement",
        "template": template,
        "template_sha256": template_sha256,
        "actions": ["read"],
        "attributes": list(attributes),
        "optional_attributes": list(optional_attributes),
        "duration": "P30D",
    }
    return [without_omitted({**detail, **members})]


@dataclass
class Callback:
    """What the browser brings back to the client's redirect URI."""

    parameters: dict

    @classmethod
    def of(cls, location):
        """Read a `Location`; a parameter that is there twice fails the test."""
        values = parse_qs(urlsplit(location).query, keep_blank_values=True, strict_parsing=True)
        assert all(len(found) == 1 for found in values.values()), location
        return cls({name: found[0] for name, found in values.items()})

    def __getitem__(self, name):
        return self.parameters[name]

    def __contains__(self, name):
        return name in self.parameters


@dataclass
class Client:
    """A confidential client with its keys, over any `httpx.Client`.

    `endpoints` maps pushed_authorization_request, token, revocation, introspection and
    authorization to absolute URLs; `of_metadata` reads them from the server.
    """

    http: httpx.Client
    client_id: str
    issuer: str
    key: object
    endpoints: dict
    redirect_uri: str = "https://client.example/cb"
    dpop_key: object = field(default_factory=new_key)
    clock: object = time.time

    @classmethod
    def of_metadata(cls, http, client_id, issuer, key, **fields):
        """Make a client that takes its endpoints from the server's metadata (RFC 8414)."""
        answer = http.get(f"{issuer}/.well-known/oauth-authorization-server")
        assert answer.status_code == 200, answer.text
        document = answer.json()
        assert document["issuer"] == issuer
        endpoints = {
            name.removesuffix("_endpoint"): url
            for name, url in document.items()
            if name.endswith("_endpoint")
        }
        return cls(http, client_id, issuer, key, endpoints, **fields)

    def now(self):
        """Return Unix seconds."""
        return int(self.clock())

    def assertion(self, *, key=None, header=(), claims=()):
        """Return a client assertion of this client."""
        return private_key_jwt(
            key or self.key,
            self.client_id,
            self.issuer,
            now=self.now(),
            header=header,
            claims=claims,
        )

    def proof(self, method, url, *, key=None, access_token=None, header=(), claims=()):
        """Return a DPoP proof with this client's proof key."""
        return dpop_proof(
            key or self.dpop_key,
            method,
            url,
            now=self.now(),
            access_token=access_token,
            header=header,
            claims=claims,
        )

    def post(self, endpoint, form, *, assertion=None, proof=None, headers=None, url=None):
        """Send a form with client authentication and proof.

        `assertion` and `proof` are made unless given; `OMIT` sends none. A form value of `OMIT`
        is left out, a list is sent as repeated parameters.
        """
        target = self.endpoints[endpoint]
        if assertion is None:
            assertion = self.assertion()
        if assertion is not OMIT:
            form = {
                "client_assertion_type": ASSERTION_TYPE,
                "client_assertion": assertion,
                **form,
            }
        sent = dict(headers or {})
        if proof is not OMIT:
            sent["DPoP"] = proof if proof is not None else self.proof("POST", target)
        return self.http.post(url or target, data=without_omitted(form), headers=sent)

    def request_parameters(self, challenge, **parameters):
        """Return the parameters of an authorization request."""
        return {
            "client_id": self.client_id,
            "response_type": "code",
            "redirect_uri": self.redirect_uri,
            "state": "state-1",
            "code_challenge": challenge,
            "code_challenge_method": "S256",
            **parameters,
        }

    def push(self, challenge, *, assertion=None, proof=OMIT, details=None, **parameters):
        """Push an authorization request (RFC 9126); by default it binds no key."""
        if details is not None:
            parameters["authorization_details"] = json.dumps(details)
        return self.post(
            "pushed_authorization_request",
            self.request_parameters(challenge, **parameters),
            assertion=assertion,
            proof=proof,
        )

    def authorization_url(self, request_uri, **parameters):
        """Return where the browser is sent."""
        query = httpx.QueryParams(
            {"client_id": self.client_id, "request_uri": request_uri, **parameters}
        )
        return f"{self.endpoints['authorization']}?{query}"

    def redeem(self, code, verifier, *, assertion=None, proof=None, **parameters):
        """Exchange a code for tokens."""
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self.redirect_uri,
            "code_verifier": verifier,
            **parameters,
        }
        return self.post("token", form, assertion=assertion, proof=proof)

    def refresh(self, refresh_token, *, assertion=None, proof=None, **parameters):
        """Get a new access token with a refresh token."""
        form = {"grant_type": "refresh_token", "refresh_token": refresh_token, **parameters}
        return self.post("token", form, assertion=assertion, proof=proof)

    def client_credentials(self, scope, *, assertion=None, proof=None):
        """Get an access token for the client itself."""
        form = {"grant_type": "client_credentials", "scope": scope}
        return self.post("token", form, assertion=assertion, proof=proof)

    def revoke(self, token, **parameters):
        """Revoke a token (RFC 7009)."""
        return self.post("revocation", {"token": token, **parameters}, proof=OMIT)

    def introspect(self, token, **parameters):
        """Introspect a token (RFC 7662)."""
        return self.post("introspection", {"token": token, **parameters}, proof=OMIT)

    def request(self, method, url, access_token, *, proof=None, scheme="DPoP", **kwargs):
        """Call a protected resource with a token and a proof; `proof=OMIT` sends none."""
        headers = {"Authorization": f"{scheme} {access_token}", **kwargs.pop("headers", {})}
        if proof is not OMIT:
            target = str(httpx.URL(url).copy_with(query=None))
            headers["DPoP"] = proof or self.proof(method, target, access_token=access_token)
        return self.http.request(method, url, headers=headers, **kwargs)

    def get(self, url, access_token, **kwargs):
        """Read a protected resource."""
        return self.request("GET", url, access_token, **kwargs)
