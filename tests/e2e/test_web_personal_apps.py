"""Programs of a person's own, let in under Settings (SEC-S27, UI-19)."""

from __future__ import annotations

import json
import re

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from api.oauth import refused_keys
from tests.support.mailbox import Mailbox, confirmed, send_letters
from tests.support.oauth_client import Client, jkt, new_key
from tests.support.world import PASSPHRASE

PAGE = "/settings/apps"
TOKEN = re.compile(r"pds_pa\.[A-Za-z0-9_-]{64}\.[0-9a-f]{8}")


def jwk(key):
    return json.dumps(key.as_dict(private=False))


def let_in(browser, key, **changed):
    values = {"label": "Calendar", "key": key, "collections": ["contact"], "days": "30"}
    values |= {"passphrase": PASSPHRASE} | changed
    return browser.submit(browser.get(PAGE), "label", **values)


def read(world, key, token):
    client = Client(
        world.http,
        "app",
        world.issuer,
        key,
        {},
        dpop_key=key,
        clock=lambda: world.services.clock.now().timestamp(),
    )
    return client.get(world.url("/v1/own/records?collection=contact"), token)


def test_a_program_is_let_in_reads_is_seen_and_is_ended(world, aysel, hers):
    aysel.save("contact", email="aysel@poct.example")
    mailbox, key = confirmed(world.services, aysel, Mailbox()), new_key()
    shown = let_in(hers, jwk(key))
    token = TOKEN.search(shown.text)[0]

    assert read(world, key, token).json()["records"][0]["data"]["email"] == "aysel@poct.example"
    page = hers.get(PAGE)
    assert token not in page.text
    assert "<h2>Calendar</h2>" in page.text
    assert re.search(r"<dt>Accesses</dt><dd>1</dd>", page.text)
    assert "One of your own apps read" in hers.get("/activity").text
    assert "An app of yours may read your vault" in send_letters(world.services, mailbox).subjects()

    hers.lock()
    ended = hers.post(re.search(rf"{PAGE}/[0-9a-f-]+/remove", page.text)[0], {"csrf": hers.token()})
    assert ended.location == PAGE
    assert read(world, key, token).status_code == 401


@pytest.mark.parametrize("how", ["jwk", "jwks", "pem-ec", "pem-ed25519"])
def test_a_key_is_taken_as_programs_write_it(world, hers, how):
    key = new_key("Ed25519" if how.endswith("ed25519") else "ES256")
    pem = key.public_key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    text = {"jwk": jwk(key), "jwks": json.dumps({"keys": [json.loads(jwk(key))]})}.get(how, pem)
    token = TOKEN.search(let_in(hers, text).text)[0]

    assert read(world, key, token).status_code == 200


def test_no_other_key_is_taken(world, hers):
    """DPoP-D7: whoever pastes a private key has published it; a stolen one is refused for ever."""
    key, stolen = new_key(), new_key()
    world.services.uow.write(
        lambda session: refused_keys.refuse(session, [jkt(stolen)], now=world.services.clock.now())
    )
    two = json.dumps({"keys": [json.loads(jwk(key)), json.loads(jwk(stolen))]})
    secret = json.dumps({"kty": "oct", "k": "AAAA"})
    for text, rule in (
        (json.dumps(key.as_dict(private=True)), "This is a private key."),
        ("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----", "This is a private key."),
        (jwk(stolen), "This key was reported stolen."),
        (two, "This is no public key for signatures."),
        (secret, "This is no public key for signatures."),
        ("[]", "This is no public key for signatures."),
        ("", "This is no public key for signatures."),
        ("-----BEGIN PUBLIC KEY-----\nAAAA", "This is no public key for signatures."),
    ):
        answer = let_in(hers, text)
        assert answer.status == 422, text
        assert rule in answer.text, text
        assert TOKEN.search(answer.text) is None
        assert 'href="#key"' in answer.text
        assert key.as_dict(private=True)["d"] not in answer.text
        assert "BEGIN PRIVATE KEY" not in answer.text


def test_letting_in_takes_the_passphrase_and_what_it_may_read(hers):
    """Whoever finds an open browser lets nothing in."""
    key = jwk(new_key())
    wrong = let_in(hers, key, passphrase="not the passphrase of this vault")
    nothing = let_in(hers, key, collections=[])

    assert (wrong.status, nothing.status) == (422, 422)
    assert 'href="#passphrase"' in wrong.text
    assert 'href="#collections"' in nothing.text
    assert TOKEN.search(wrong.text + nothing.text) is None
    assert "No program reads your vault." in hers.get(PAGE).text


def test_a_locked_vault_lets_nothing_in(hers):
    page = hers.get(PAGE)
    hers.lock()

    assert 'name="key"' not in hers.get(PAGE).text
    assert hers.submit(page, "label", label="a", key=jwk(new_key())).status == 403
