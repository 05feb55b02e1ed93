"""Whatever parameters the OAuth endpoints get: a status that they document, and an error that
says what is wrong and nothing of the inside (RFC 6749 section 5.2).

`PDS_MUTATIONS` says how many requests; see `tests.support.mutations`.
"""

from __future__ import annotations

import json
import re
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from uuid import uuid4

import pytest

from api.oauth import registration
from tests.support.mutations import (
    MUTATIONS,
    NASTY,
    SEED,
    chance,
    encoded,
    mutated_member,
    mutated_text,
)
from tests.support.oauth_client import ASSERTION_TYPE, new_key, pkce_pair, public_jwks
from tests.support.web_browser import WebBrowser
from tests.support.worlds import TickingClock, world_on

REQUESTS = MUTATIONS // 20  # for each endpoint; one costs as much as many mutated proofs
EMAIL = "contact.email"
FORM = "application/x-www-form-urlencoded"
STATUSES = {
    "par": {201, 400, 401, 405, 413, 429},
    "token": {200, 400, 401, 405, 413},
    "revoke": {200, 400, 401, 405, 413},
    "introspect": {200, 400, 401, 405, 413},
    "register": {201, 400, 401, 405, 413},
}
# RFC 6749 section 5.2 and the registry that it made.
ERRORS = {
    "invalid_request",
    "invalid_client",
    "invalid_grant",
    "unauthorized_client",
    "unsupported_grant_type",
    "unsupported_response_type",
    "invalid_scope",
    "invalid_authorization_details",
    "invalid_dpop_proof",
    "invalid_grant_id",
    "invalid_request_uri",
    "request_not_supported",
    "invalid_client_metadata",
    "invalid_redirect_uri",
    "invalid_token",
    "temporarily_unavailable",  # PAR-P11
}
DESCRIPTION = re.compile(r"[\x20-\x21\x23-\x5b\x5d-\x7e]{1,400}")
INSIDE = re.compile(
    r"Traceback|File \"|\.py\b|\w(Error|Exception)\b|sqlalchemy|sqlite|psycopg|SELECT |INSERT "
    r"|authlib|werkzeug|joserfc|0x[0-9a-f]{6}",
)
CANARY = "canary@example.com"


@dataclass
class Scene:
    """A shop with every credential that an endpoint takes."""

    world: object
    shop: object
    template: object
    connected: object
    registration_token: str

    def form(self, endpoint, draw):
        """Return a good request's parameters."""
        connected, client = self.connected, self.shop.client
        authenticated = {
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": client.assertion(),
        }
        match endpoint:
            case "par":
                details = self.shop.details(self.template)
                if draw.randrange(2):
                    details = [mutated_member(draw, details[0])]
                own = client.request_parameters(
                    pkce_pair()[1], authorization_details=json.dumps(details), dpop_jkt="x" * 43
                )
            case "token":
                own = draw.choice(
                    [
                        {"grant_type": "client_credentials", "scope": "organisation"},
                        {
                            "grant_type": "refresh_token",
                            "refresh_token": connected.refresh_token,
                        },
                        {
                            "grant_type": "authorization_code",
                            "code": connected.access_token,
                            "redirect_uri": client.redirect_uri,
                            "code_verifier": pkce_pair()[0],
                        },
                    ]
                )
            case _:
                own = {"token": "pds_at.x.y", "token_type_hint": "access_token"}
        return {**authenticated, **own}


@pytest.fixture(scope="module")
def scene(stores):
    with ExitStack() as stack:
        store = stack.enter_context(stores.migrated("sqlite"))
        world = stack.enter_context(world_on(store, clock=TickingClock()))
        aysel, shop = world.person("aysel"), world.organisation("Shop")
        aysel.save("contact", email=CANARY)
        template = shop.publish(required=[EMAIL])
        services = world.services

        def allow(session):
            now = services.clock.now()
            return registration.allow(
                session,
                shop.id,
                services.log,
                uses=100_000,
                now=now,
                expires_at=now + timedelta(days=1),
            )

        token = services.uow.write(allow).text()
        yield Scene(world, shop, template, world.connect(aysel, shop, template), token)


def spoiled(draw, pairs):
    """Return parameters with one to three of them wrong: left out, twice, renamed, or changed."""
    pairs = list(pairs)
    for _ in range(draw.randrange(1, 4)):
        place = draw.randrange(len(pairs)) if pairs else 0
        name, text = pairs[place] if pairs else ("x", "y")
        changed = draw.choice(
            [
                [],
                [(name, text), (name, draw.choice([text, *NASTY]))],
                [(mutated_text(draw, name), text)],
                [(name, mutated_text(draw, text))],
                [(name, draw.choice(NASTY))],
                [(name, text), (draw.choice(NASTY), draw.choice(NASTY))],
            ]
        )
        pairs[place : place + 1] = changed
    return pairs


def spoiled_headers(draw, good):
    """Return headers, some of them wrong."""
    headers = dict(good)
    # What no HTTP server lets through is not sent here either.
    text = "".join(one for one in draw.choice(NASTY) if " " <= one <= "\xff" and one != "\x7f")
    match draw.randrange(8):
        case 0:
            headers["DPoP"] = (
                mutated_text(draw, headers.get("DPoP", "x"))
                .encode("ascii", "ignore")
                .decode()
                .replace("\n", "")
                .replace("\r", "")
                .replace("\x00", "")
            )
        case 1:
            headers.pop("DPoP", None)
        case 2:
            headers["Authorization"] = f"{draw.choice(['Basic', 'Bearer', 'DPoP', ''])} {text}"
        case 3:
            headers["Content-Type"] = draw.choice(
                [text, "application/json", "multipart/form-data; boundary=x", "text/plain", FORM]
            )
    return headers


def faults(answer, statuses):
    """Hold an answer against RFC 6749 section 5."""
    text = answer.get_data(as_text=True)
    found = {
        "another status": answer.status_code not in statuses,
        "the inside is told": INSIDE.search(text) or CANARY in text,
    }
    if answer.status_code >= 400:
        body = answer.get_json(silent=True)
        body = body if isinstance(body, dict) else {}
        found |= {
            "not JSON": answer.mimetype != "application/json",
            "may be stored": "no-store" not in answer.headers.get("Cache-Control", ""),
            "more than an error": set(body) - {"error", "error_description"},
            "another error": body.get("error") not in ERRORS,
            "other characters": not DESCRIPTION.fullmatch(body.get("error_description", "x")),
        }
    return [name for name, is_there in found.items() if is_there]


@pytest.mark.parametrize("endpoint", ["par", "token", "revoke", "introspect"])
def test_no_parameters_bring_a_form_endpoint_out_of_its_contract(scene, endpoint):
    draw, http = chance(endpoint), scene.world.app.test_client()
    url, client = f"/oauth/{endpoint}", scene.shop.client
    for number in range(REQUESTS):
        pairs = scene.form(endpoint, draw).items()
        headers = {"Content-Type": FORM, "DPoP": client.proof("POST", scene.world.url(url))}
        method, query = "POST", ""
        if draw.randrange(8):
            pairs = spoiled(draw, pairs)
        if not draw.randrange(3):
            headers = spoiled_headers(draw, headers)
        if not draw.randrange(20):
            query = "?" + encoded(spoiled(draw, pairs))
        if not draw.randrange(20):
            method = draw.choice(["GET", "PUT", "PATCH", "DELETE", "HEAD"])
        sent = encoded(pairs)
        if not draw.randrange(30):
            sent = draw.choice([b"\xff\xfe", b"", b"=&=&", b"%", b"a" * 70_000, b"&" * 5_000])

        answer = http.open(url + query, method=method, data=sent, headers=headers)

        found = method != "HEAD" and faults(answer, STATUSES[endpoint])
        assert not found, (found, SEED, number, method, query, headers, sent, answer.text)


def metadata_of(draw, number):
    """Return client metadata, most of it wrong somewhere."""
    document = {
        "client_name": f"Program {number}",
        "client_name#az": "Proqram",
        "redirect_uris": ["https://client.example/cb"],
        "jwks": public_jwks(KEY),
        "token_endpoint_auth_method": "private_key_jwt",
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "dpop_bound_access_tokens": True,
        "scope": "organisation",
    }
    junk = [*NASTY, None, True, 0, -1.5, [], {}, [[]], [None], {"keys": []}, ["x"] * 200]
    for _ in range(draw.randrange(4)):
        name = draw.choice([*document, "jwks_uri", "client_uri", "logo_uri", "policy_uri", "x"])
        document[name] = draw.choice(junk)
        if not draw.randrange(5):
            del document[name]
    return json.dumps(document)


KEY = new_key()


def test_no_metadata_brings_registration_out_of_its_contract(scene):
    draw, http = chance("register"), scene.world.app.test_client()
    for number in range(REQUESTS):
        sent = metadata_of(draw, number)
        if not draw.randrange(5):
            sent = mutated_text(draw, sent)
        headers = {
            "Content-Type": "application/json",
            "Authorization": f"Bearer {scene.registration_token}",
        }
        if not draw.randrange(5):
            headers = spoiled_headers(draw, headers)

        answer = http.post(
            "/oauth/register", data=sent.encode(errors="surrogatepass"), headers=headers
        )

        found = faults(answer, STATUSES["register"])
        assert not found, (found, SEED, number, headers, sent, answer.text)


def test_no_parameters_bring_the_authorization_endpoint_to_redirect_or_fail(scene):
    """Nobody is signed in, so it is an error page, or the way to the sign-in page of ours."""
    draw, http = chance("authorize"), scene.world.app.test_client()
    request_uri, _ = scene.world.push(scene.shop, scene.shop.details(scene.template))
    good = {"client_id": scene.shop.client.client_id, "request_uri": request_uri}
    for number in range(REQUESTS):
        query = encoded(spoiled(draw, good.items()))
        method = draw.choice(["GET", "GET", "GET", "POST"])

        answer = http.open(
            f"/oauth/authorize?{query}", method=method, headers={"Accept": "text/html"}
        )

        told = (SEED, number, method, query, answer.text)
        assert answer.status_code in {200, 303, 400}, told
        assert answer.headers.get("Location", "/").startswith("/"), told
        assert answer.mimetype == "text/html", told
        assert not INSIDE.search(answer.text), told
        assert "<script>alert" not in answer.text, told


def test_signed_in_no_parameters_bring_the_authorization_endpoint_to_redirect_or_fail(scene):
    """Nor do they decide: what a person did not send from our page allows nothing (THR-6, P-46)."""
    draw, browser = chance("authorize signed in"), WebBrowser(scene.world)
    assert browser.sign_in("aysel").status == 303
    request_uri, _ = scene.world.push(scene.shop, scene.shop.details(scene.template))
    good = [
        ("client_id", scene.shop.client.client_id),
        ("request_uri", request_uri),
        ("decision", "allow"),
        ("duration", "P30D"),
        ("notice_sha256", "0" * 64),
        ("csrf", browser.token()),
    ]
    back = scene.shop.client.redirect_uri
    for number in range(REQUESTS // 2):
        pairs = encoded(spoiled(draw, good))
        sent = {"data": pairs} if number % 2 else {}
        answer = scene.world.app.test_client().open(
            "/oauth/authorize" if sent else f"/oauth/authorize?{pairs}",
            method="POST" if sent else "GET",
            headers={
                "Accept": "text/html",
                "Cookie": "; ".join(f"{one.name}={one.value}" for one in browser.http.cookies.jar),
                "Origin": scene.world.issuer,
                "Content-Type": FORM,
            },
            **sent,
        )

        told = (SEED, number, pairs, answer.text)
        assert answer.status_code in {200, 303, 400, 403, 409, 422}, told
        location = answer.headers.get("Location", "/")
        assert location.startswith(("/", back)), told
        assert "code=" not in location, told
        assert not INSIDE.search(answer.text), told
        assert "<script>alert" not in answer.text, told
    browser.close()


def test_no_grant_id_brings_grant_management_out_of_its_contract(scene):
    draw, client, http = chance("grants"), scene.shop.client, scene.world.app.test_client()
    token = client.client_credentials("grant_management_query").json()["access_token"]
    ids = (*NASTY, str(uuid4()), scene.connected.body["grant_id"])
    for number in range(REQUESTS // 2):
        path = encoded([("", mutated_text(draw, draw.choice(ids)))])[1:].replace("+", "%20")
        url = f"/oauth/grants/{path}"
        proof = client.proof("GET", scene.world.url(url), access_token=token)

        answer = http.get(url, headers={"Authorization": f"DPoP {token}", "DPoP": proof})

        told = (SEED, number, url, answer.text)
        assert answer.status_code in {200, 401, 403, 404, 405}, told
        assert not INSIDE.search(answer.text), told


@pytest.mark.parametrize(
    "path",
    ["oauth-authorization-server", "oauth-protected-resource", "oauth-protected-resource/v1"],
)
def test_metadata_is_the_same_whatever_is_asked_beside_it(scene, path):
    draw, http = chance(path), scene.world.app.test_client()
    url = f"/.well-known/{path}"
    plain = http.get(url).data

    for _ in range(min(REQUESTS, 50)):
        query = encoded(spoiled(draw, [("issuer", "https://evil.example")]))
        answer = http.get(f"{url}?{query}", headers={"Host": "evil.example"})

        assert (answer.status_code, answer.data) == (200, plain)
