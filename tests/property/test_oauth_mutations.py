"""Proofs, client assertions and authorization details with something wrong: none is accepted.

Each is made from a good one, by a change after which it must not hold: to the text that was signed,
or to what is then signed anew by the right key. `PDS_MUTATIONS` says how many of each.
"""

from __future__ import annotations

import base64
import json
import string
from contextlib import ExitStack

import pytest
from authlib.oauth2 import OAuth2Error

from api.oauth import clients
from api.oauth.ext.client_assertion_rfc7523 import ASSERTION_TYPE, PrivateKeyJWT
from api.oauth.ext.clients import ConfidentialClient
from api.oauth.ext.dpop_rfc9449 import ProofVerifier
from api.oauth.ext.flask_request import FAPIRequest
from tests.support.mutations import (
    JUNK,
    MUTATIONS,
    NASTY,
    SEED,
    chance,
    mutated_text,
    segment,
)
from tests.support.oauth_client import (
    OMIT,
    agreement_details,
    dpop_proof,
    new_key,
    pkce_pair,
    private_key_jwt,
    public_jwks,
)
from tests.support.oauth_ext_server import Memory
from tests.support.worlds import TickingClock, world_on

NOW = 1_800_000_000
URL, TOKEN = "https://rs.example/v1/notes", "at.abc"
ISSUER, CLIENT = "https://as.example", "client-1"
OWN = {name: new_key(name, kid=name) for name in ("ES256", "Ed25519", "PS256")}
KEYS = [OWN[name] for name in ("ES256", "Ed25519", "Ed25519", "ES256", "PS256")]  # slow ones seldom
FOREIGN = {name: new_key(name, kid=name) for name in ("ES256", "Ed25519", "PS256")}
OTHER_ALGORITHMS = ("none", "HS256", "RS256", "ES384", "ES512", "ES256K", "es256", "", 7, None)
ALPHABET = string.ascii_uppercase + string.ascii_lowercase + string.digits + "-_"
JWK_JUNK = ({}, {"kty": "oct", "k": "AAAA"}, {"kty": "EC"}, {"kty": "RSA", "n": "AQ", "e": "AQ"})


def not_in(allowed):
    """Return junk and nasty text without what would be good after all."""
    return [one for one in JUNK if not any(one is good or one == good for good in allowed)]


def must_be_refused(step, wrong):
    """Run a step that must end in an OAuth error."""
    try:
        found = step(wrong)
    except OAuth2Error:
        return
    pytest.fail(f"seed {SEED}: {wrong} is taken for {found}")


def changed_text(draw, text):
    """Return a signed text that says or proves something else, or is written in another way."""
    head, payload, signature = text.split(".")
    claims = _decoded(payload)
    ways = (
        lambda: mutated_text(draw, text),
        lambda: f"{head}.{payload}.",
        lambda: f"{head}.{payload}",
        lambda: f"{head}.{payload}.{signature}.{signature}",
        lambda: f"{payload}.{head}.{signature}",
        lambda: f"{text},{text}",
        lambda: f"{head}=.{payload}.{signature}",
        lambda: f"{head}.{payload}.{signature}=",
        lambda: f"{head}.{segment({**claims, 'x': 1})}.{signature}",
        lambda: f"{head}.{segment(json.dumps(claims).encode() + b' ')}.{signature}",
        lambda: f"{head}.{payload}.{_another_spelling(signature)}",
        lambda: f"{head}.{payload}.{'A' * len(signature)}",
        lambda: f"{head}.{payload}.{signature[: len(signature) // 2]}",
    )
    return draw.choice(ways)()


def _decoded(part):
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def _another_spelling(part):
    """Return base64url of the same bytes with other bits where none belong."""
    return part[:-1] + ALPHABET[ALPHABET.index(part[-1]) ^ 1]


def wrong_proof(draw):
    """Return a proof that must not hold."""
    key = draw.choice(KEYS)
    good = {"access_token": TOKEN, "now": NOW}
    if draw.randrange(2):
        return changed_text(draw, dpop_proof(key, "GET", URL, **good))
    text_junk = draw.choice(not_in({"x"}))
    header, claims = draw.choice(
        [
            ({"typ": draw.choice([OMIT, "JWT", "dpop", *not_in({"dpop+jwt"})])}, {}),
            ({"alg": draw.choice(OTHER_ALGORITHMS)}, {}),
            ({"jwk": draw.choice([OMIT, *JUNK, *JWK_JUNK])}, {}),
            ({"jwk": key.as_dict(private=True)}, {}),
            ({"jwk": FOREIGN[key.kid].as_dict(private=False)}, {}),
            ({"jwk": mutated_jwk(draw, key)}, {}),
            ({"crit": draw.choice([["exp"], [], None, "exp"])}, {}),
            ({}, {"jti": draw.choice([OMIT, None, True, 7, "", "é", "a" * 257, [], {}])}),
            ({}, {"htm": draw.choice([OMIT, "get", "POST", "GET ", *not_in({"GET"})])}),
            ({}, {"htu": draw.choice([OMIT, *not_in({URL})])}),
            ({}, {"htu": draw.choice(OTHER_URLS)}),
            ({}, {"iat": draw.choice([OMIT, None, True, "now", str(NOW), [], {}, [NOW]])}),
            ({}, {"iat": NOW + draw.choice([-1, 1]) * draw.randrange(61, 10**9)}),
            ({}, {"iat": draw.choice([NOW + 11, NOW - 61, 0, -1, 10**400, NOW * 1000])}),
            ({}, {"ath": draw.choice([OMIT, text_junk, "x" * 43])}),
        ]
    )
    try:
        return dpop_proof(key, "GET", URL, header=header, claims=claims, **good)
    except (TypeError, ValueError, AttributeError):  # joserfc signs with no such key
        return ""


OTHER_URLS = (
    f"{URL}/",
    f"{URL}x",
    URL.replace("https", "http"),
    URL.replace("rs.", "evil."),
    URL.replace("rs.example", "rs.example.evil.example"),
    URL.replace("rs.example", "rs.example:444"),
    URL.replace("//", "//user@"),
    URL.replace("/v1", "/V1"),
    URL.replace("/v1/notes", "/v1%2fnotes"),
    "/v1/notes",
    "//rs.example/v1/notes",
)


def mutated_jwk(draw, key):
    """Return the JWK with a member of the key itself changed."""
    jwk = key.as_dict(private=False)
    name = draw.choice([name for name in ("kty", "crv", "x", "y", "n") if name in jwk])
    if name in {"kty", "crv"}:
        return {**jwk, name: mutated_text(draw, jwk[name])}
    # Not the last one, which has bits that mean nothing.
    text, place = jwk[name], draw.randrange(len(jwk[name]) - 1)
    other = ALPHABET[ALPHABET.index(text[place]) ^ draw.randrange(1, 64)]
    return {**jwk, name: text[:place] + other + text[place + 1 :]}


def test_no_mutated_proof_holds():
    """RFC 9449 section 4.3."""
    draw, verifier = chance("proofs"), ProofVerifier()

    def verify(text):
        return verifier.verify([text], method="GET", url=URL, now=NOW, access_token=TOKEN)

    assert verify(dpop_proof(KEYS[0], "GET", URL, now=NOW, access_token=TOKEN))
    for _ in range(MUTATIONS):
        must_be_refused(verify, wrong_proof(draw))


def wrong_assertion(draw):
    """Return a client assertion that must not authenticate its client."""
    key = draw.choice(KEYS)
    if draw.randrange(2):
        return changed_text(draw, private_key_jwt(key, CLIENT, ISSUER, now=NOW))
    header, claims = draw.choice(
        [
            ({"alg": draw.choice(OTHER_ALGORITHMS)}, {}),
            ({"typ": draw.choice(["dpop+jwt", "at+jwt", "", 7, [], {}])}, {}),
            ({"kid": draw.choice([one.kid for one in KEYS if one.kid != key.kid])}, {}),
            ({"kid": draw.choice([*NASTY, 7, [], {}, True])}, {}),
            ({"crit": draw.choice([["exp"], [], None, "exp"])}, {}),
            ({}, {"iss": draw.choice([OMIT, "client-2", ISSUER, *not_in({CLIENT})])}),
            ({}, {"sub": draw.choice([OMIT, "client-2", ISSUER, *not_in({CLIENT})])}),
            ({}, {"aud": draw.choice([OMIT, [ISSUER], f"{ISSUER}/", f"{ISSUER}/token", *JUNK])}),
            ({}, {"aud": mutated_text(draw, ISSUER)}),
            ({}, {"exp": draw.choice([OMIT, None, True, "soon", [], {}, str(NOW + 60)])}),
            ({}, {"exp": draw.choice([NOW, NOW - 1, 0, -1, NOW + 601, 10**400, NOW * 1000])}),
            ({}, {"iat": draw.choice([True, "now", [], {}, NOW + 11, 10**400])}),
            ({}, {"nbf": draw.choice([True, "now", [], {}, NOW + 11, 10**400])}),
            ({}, {"jti": draw.choice([OMIT, None, True, 7, "", "é", "a" * 257, [], {}])}),
        ]
    )
    match draw.randrange(12):
        case 0:
            return private_key_jwt(FOREIGN[key.kid], CLIENT, ISSUER, now=NOW)
        case 1:
            return private_key_jwt(key, "client-2", ISSUER, now=NOW)
    try:
        return private_key_jwt(key, CLIENT, ISSUER, now=NOW, header=header, claims=claims)
    except (TypeError, ValueError, AttributeError):
        return ""


def test_no_mutated_assertion_authenticates():
    """RFC 7523 section 3, as FAPI 2.0 narrows it."""
    draw, memory = chance("assertions"), Memory(time=NOW)
    registered = {
        name: ConfidentialClient(name, public_jwks(*keys.values()))
        for name, keys in ((CLIENT, OWN), ("client-2", FOREIGN))
    }
    method = PrivateKeyJWT(ISSUER, memory.now)

    def authenticate(text):
        form = {"client_assertion_type": ASSERTION_TYPE, "client_assertion": text}
        return method(registered.get, FAPIRequest("POST", f"{ISSUER}/token", form))

    assert authenticate(private_key_jwt(KEYS[0], CLIENT, ISSUER, now=NOW))
    for _ in range(MUTATIONS):
        must_be_refused(authenticate, wrong_assertion(draw))


def wrong_details(draw, detail):
    """Return the parameter's text: not what the template offers, or no such list."""
    wrong = {
        "type": not_in({detail["type"]}),
        "template": not_in({detail["template"]}),
        "template_sha256": not_in({detail["template_sha256"]}),
        "actions": [*JUNK, ["write"], ["read", "read"], ["read", "delete"], ["READ"]],
        "attributes": [*not_in([[]]), ["contact.phone"], ["contact.email"] * 2, ["identity.pin"]],
        "optional_attributes": [*not_in([[]]), ["contact.email"], ["contact.phone"] * 2],
        "duration": [*JUNK, "P366D", "P0D", "P1M", "PT1H", "p30d", "P-1D", "P30D ", "P030D"],
        "locations": [*not_in([[]]), ["https://evil.example/v1"], ["http://127.0.0.1:8321/v1/"]],
        "invitation": not_in({None}),
    }
    match draw.randrange(6):
        case 0:
            name = draw.choice(["type", "template", "template_sha256", "actions", "duration"])
            found = {other: value for other, value in detail.items() if other != name}
        case 1:
            found = {**detail, f"{draw.choice(NASTY)}x": draw.choice(JUNK)}
        case 2:
            return draw.choice(
                ["", "null", "7", "{}", "[]", '"x"', "[NaN]", "[" * 3000, json.dumps([detail] * 2)]
            )
        case 3:
            text = json.dumps(detail)
            return f"[{text[:-1]}, {text[1:]}]"
        case _:
            name = draw.choice(sorted(wrong))
            found = {**detail, name: draw.choice(wrong[name])}
    return json.dumps([found])


@pytest.fixture(scope="module")
def shop(stores):
    with ExitStack() as stack:
        store = stack.enter_context(stores.migrated("sqlite"))
        world = stack.enter_context(world_on(store, clock=TickingClock()))
        yield world.organisation("Shop")


def test_no_mutated_details_are_asked_of_anybody(shop):
    """RFC 9396 section 5, P-27."""
    draw, world = chance("details"), shop.world
    template = shop.publish(required=["contact.email"], optional=["contact.phone"])
    detail = agreement_details(
        str(template.id),
        template.sha256,
        attributes=["contact.email"],
        optional_attributes=["contact.phone"],
    )[0]
    server = world.services.authorization.service.server
    with world.services.uow.read() as session:
        client = clients.find(session, shop.client.client_id, now=world.services.clock.now())
    challenge = pkce_pair()[1]

    def push(text):
        form = shop.client.request_parameters(challenge, authorization_details=text)
        request = FAPIRequest("POST", f"{world.issuer}/oauth/par", form)
        request.is_push, request.client = True, client
        server.get_authorization_grant(request).validate_consent_request()
        return request.authorization_details

    assert push(json.dumps([detail]))
    for _ in range(MUTATIONS):
        must_be_refused(push, wrong_details(draw, detail))
