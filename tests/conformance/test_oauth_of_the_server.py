"""What the profile asks of a whole server: secrets, headers, subjects, the end of tokens.

The extensions' own tests run on a small server in memory; here ours answers, with its store.
"""

from __future__ import annotations

import json
from contextlib import ExitStack
from dataclasses import dataclass, replace
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select

from api.oauth.ext import compact_jws
from api.oauth.ext.par_rfc9126 import REQUEST_URI_PREFIX
from api.oauth.models import Client
from consent.errors import NoticeChangedError
from consent.formats import canonical
from consent.models import AgreementVersion
from pds.crypto.secrets import mint, parse
from pds.ids import random_uuid
from tests.support.oauth_client import pkce_pair
from tests.support.stores import Store
from tests.support.worlds import TickingClock, world_on

EMAIL, PHONE = "contact.email", "contact.phone"
SECRET_BYTES = 16  # 128 bits
# What proxies add, and what a stranger can therefore write where no proxy takes it away.
SPOOFED = {
    "X-Forwarded-For": "192.0.2.66",
    "X-Forwarded-Host": "evil.example",
    "X-Forwarded-Proto": "http",
    "X-Forwarded-Prefix": "/evil",
    "Forwarded": "for=192.0.2.66;host=evil.example;proto=http",
    "X-Real-IP": "192.0.2.66",
    "X-Original-URL": "/v1/organisation",
    "X-HTTP-Method-Override": "DELETE",
    "X-SSL-Client-Cert": "MII",
    "Client-Cert": ":MII=:",
    "Remote-User": "aysel",
    "Host": "evil.example",
}


@dataclass
class Scene:
    world: object
    clock: object
    aysel: object
    shop: object
    template: object

    def connect(self, **chosen):
        return self.world.connect(self.aysel, self.shop, self.template, **chosen)

    def read(self, token, **kwargs):
        return self.shop.get("/v1/records", token, **kwargs)


@pytest.fixture(scope="module")
def scene(stores):
    with ExitStack() as stack:
        store, clock = stack.enter_context(stores.migrated("sqlite")), TickingClock()
        world = stack.enter_context(world_on(store, clock=clock))
        aysel, shop = world.person("aysel"), world.organisation("Shop")
        aysel.save("contact", email="a@example.com", phone="+994501112233")
        template = shop.publish(required=[EMAIL], optional=[PHONE])
        yield Scene(world, clock, aysel, shop, template)


@pytest.fixture(scope="module")
def secured(stores):
    """Give a world behind https, as people run it."""
    with ExitStack() as stack:
        store = stack.enter_context(stores.migrated("sqlite"))
        server = replace(
            store.settings.server, issuer="https://vault.example", insecure_loopback=False
        )
        settings = replace(store.settings, server=server)
        yield stack.enter_context(world_on(Store("sqlite", settings, store.uow)))


def secret_of(text):
    found = parse(text, "at", "rt", "ac")
    assert found is not None
    return found.secret


def test_tokens_say_nothing_to_their_holder_dec_4(scene):
    """No JWT, and no key is published with which somebody else could check one."""
    connected = scene.connect()

    for text in (connected.access_token, connected.refresh_token):
        for segment in text.split("."):
            with pytest.raises(compact_jws.JWSError):
                compact_jws.decode_object(segment)
    metadata = scene.world.http.get("/.well-known/oauth-authorization-server").json()
    assert "jwks_uri" not in metadata


def test_every_credential_has_at_least_128_random_bits_fapi_c6_oidf_40(scene):
    request_uri, verifier = scene.world.push(scene.shop, scene.shop.details(scene.template))
    opened = scene.world.open_request(scene.aysel, scene.shop, request_uri)
    code = scene.world.allow(scene.aysel, opened)["code"]
    body = scene.shop.client.redeem(code, verifier).json()

    for text in (code, body["access_token"], body["refresh_token"]):
        assert len(secret_of(text)) >= SECRET_BYTES
    # Behind the row's id, which is no secret.
    pushed = bytes.fromhex(request_uri.removeprefix(REQUEST_URI_PREFIX))[16:]
    assert len(pushed) >= SECRET_BYTES
    # Longer than that and clients would have to cut them off: RFC 6749 sets no limit, people do.
    assert len(body["access_token"]) <= 128


@pytest.mark.parametrize("kind", ["at", "rt", "ac"])
def test_every_bit_of_a_secret_is_chance_fapi_c6_oidf_40(kind):
    drawn = [int.from_bytes(mint(kind, random_uuid()).secret) for _ in range(64)]
    ones = zeros = 0
    for secret in drawn:
        ones |= secret
        zeros |= ~secret

    every_bit = (1 << 8 * len(mint(kind, random_uuid()).secret)) - 1
    assert ones & every_bit == every_bit
    assert zeros & every_bit == every_bit


def test_a_code_used_twice_ends_its_tokens_al_4_bcp_b16(scene):
    request_uri, verifier = scene.world.push(scene.shop, scene.shop.details(scene.template))
    opened = scene.world.open_request(scene.aysel, scene.shop, request_uri)
    code = scene.world.allow(scene.aysel, opened)["code"]
    body = scene.shop.client.redeem(code, verifier).json()

    assert scene.shop.client.redeem(code, verifier).status_code == 400
    assert scene.read(body["access_token"]).status_code == 401
    assert scene.shop.client.refresh(body["refresh_token"]).status_code == 400


def test_get_is_refused_as_oauth_clients_read_it_rfc6749_section_5_2(scene):
    for name in ("par", "token", "revoke", "introspect", "register"):
        answer = scene.world.http.get(f"/oauth/{name}")

        assert (answer.status_code, answer.json()) == (405, {"error": "invalid_request"})
        assert "POST" in answer.headers["Allow"]


def test_a_resource_looks_at_integrity_end_and_revocation_fapi_r3_thr_15(scene):
    """On every request: an opaque token is looked up anyway."""
    revoked, expired = scene.connect(), scene.connect()
    text = revoked.access_token
    forged = text[:40] + ("A" if text[40] != "A" else "B") + text[41:]

    assert scene.read(text).status_code == 200
    assert scene.read(forged).status_code == 401
    scene.shop.client.revoke(text)
    assert scene.read(text).status_code == 401
    assert scene.read(expired.access_token).status_code == 200
    scene.clock.move(minutes=11)
    assert scene.read(expired.access_token).status_code == 401


def test_a_withdrawal_ends_every_token_at_once_thr_15(scene):
    connected = scene.connect()
    again = scene.shop.client.refresh(connected.refresh_token).json()["access_token"]

    connected.withdraw()

    for token in (connected.access_token, again):
        assert scene.read(token).status_code == 403
    assert scene.shop.client.refresh(connected.refresh_token).status_code == 400


def test_what_was_shown_is_what_is_agreed_and_granted_rar_x9(scene):
    """One canonical text: its hash is in the row, the token answer and the resource's answer."""
    body = scene.connect(optional=[PHONE]).body
    granted = body["authorization_details"][0]

    with scene.world.services.uow.read() as session:
        version = session.scalars(
            select(AgreementVersion).where(
                AgreementVersion.agreement_id == UUID(granted["agreement"]),
                AgreementVersion.version == granted["agreement_version"],
            )
        ).one()
    document = json.loads(version.document)
    assert version.document == canonical.canonical_bytes(document)
    assert canonical.sha256_hex(document) == version.sha256 == granted["agreement_sha256"]
    assert document["attributes"] == granted["attributes"]
    assert document["template_sha256"] == granted["template_sha256"] == scene.template.sha256
    told = scene.shop.get("/v1/grant", body["access_token"]).json()
    assert told["agreement"]["sha256"] == version.sha256


def test_an_optional_item_asked_as_required_is_refused_rar_x10(scene):
    """P-27: a request may ask for less than its template, never more firmly."""
    promoted = scene.shop.details(scene.template, attributes=[EMAIL, PHONE], optional=[])

    answer = scene.shop.client.push(pkce_pair()[1], details=promoted)

    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_authorization_details")


def test_a_decision_names_the_notice_that_was_shown_rar_x10(scene):
    """P-28."""
    request_uri, _ = scene.world.push(scene.shop, scene.shop.details(scene.template))
    pending, request, _ = scene.world.open_request(scene.aysel, scene.shop, request_uri)

    with pytest.raises(NoticeChangedError):
        scene.world.allow(scene.aysel, (pending, request, "0" * 64))


def test_clients_and_people_are_named_apart_by_the_server_bcp_b12_thr_10(scene):
    """A client cannot pass for a person: it chooses neither its id nor anybody's `sub`."""
    people = scene.shop.client.introspect(scene.connect().access_token).json()
    own = scene.shop.client.introspect(scene.shop.organisation_token()).json()

    assert own["client_id"] == scene.shop.client.client_id
    assert "sub" not in own
    assert people["sub"] not in {own["client_id"], str(scene.aysel.vault_id)}
    with scene.world.services.uow.read() as session:
        assert session.get(Client, UUID(people["sub"])) is None
    assert scene.shop.client.push(pkce_pair()[1], client_id=str(uuid4())).status_code == 400


def test_a_token_for_one_thing_is_none_for_another_thr_10(scene):
    """The organisation's own token opens nobody's data, and a person's opens no affairs."""
    connected, own = scene.connect(), scene.shop.organisation_token()

    assert scene.read(own).status_code in {401, 403}
    assert connected.get("/v1/organisation").status_code == 403
    assert connected.get(f"/oauth/grants/{connected.body['grant_id']}").status_code == 403


@pytest.mark.parametrize("path", ["/", "/sign-in", "/oauth/authorize", "/v1/catalogue"])
def test_browsers_are_told_to_come_back_over_tls_alone_fapi_n2(secured, path):
    sent = secured.http.get(path).headers["Strict-Transport-Security"]

    age = int(sent.partition("max-age=")[2].partition(";")[0])
    assert age >= 31_536_000
    assert "includeSubDomains" in sent


@pytest.mark.parametrize("path", ["/", "/sign-in", "/oauth/authorize"])
def test_pages_send_no_address_on_load_nothing_and_stand_in_no_frame_bcp_b17_bcp_b18_thr_5(
    secured, path
):
    answer = secured.http.get(path, headers={"Accept": "text/html"})
    policy = answer.headers["Content-Security-Policy"]
    directives = dict(part.strip().partition(" ")[::2] for part in policy.split(";"))

    assert answer.headers["Referrer-Policy"] == "same-origin"
    assert directives["default-src"] == "'none'"
    for name in ("script-src", "style-src", "img-src", "font-src", "connect-src"):
        assert set(directives[name].split()) <= {"'self'", "data:"}
    assert directives["frame-ancestors"] == "'none'"
    assert answer.headers["X-Frame-Options"] == "DENY"


def test_no_header_that_a_proxy_should_strip_is_believed_bcp_b19_al_16(scene):
    """So there is none that somebody can spoof where the proxy forgets one."""
    connected, http = scene.connect(), scene.world.http
    plain = http.get("/.well-known/oauth-authorization-server")
    spoofed = http.get("/.well-known/oauth-authorization-server", headers=SPOOFED)

    assert spoofed.content == plain.content
    assert connected.get("/v1/records", headers=SPOOFED).status_code == 200
    assert http.get("/vault", headers=SPOOFED).headers["Location"].startswith("/sign-in")
    url = scene.world.url("/v1/records").replace(scene.world.issuer, "http://evil.example")
    theirs = scene.shop.client.proof("GET", url, access_token=connected.access_token)
    assert connected.get("/v1/records", headers=SPOOFED, proof=theirs).status_code == 401


def test_refusals_are_counted_by_the_peer_and_not_by_a_header_bcp_b19(scene):
    """Else a stranger would hide behind, or blame, whatever address they write.

    No proxy is trusted here: see `e2e/test_web_attempts.py` for one that is.
    """
    refusals, http = scene.world.services.refusals, scene.world.http
    refusals.write()
    for address in ("192.0.2.66", "198.51.100.7"):
        for header in ("X-Forwarded-For", "X-Real-IP"):
            http.post("/oauth/token", data={"x": "1"}, headers={header: address})

    assert len({counted.source for counted in refusals._counts}) == 1
    assert refusals._counts.total() == 4
