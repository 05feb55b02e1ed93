"""RFC 9396: rich authorization requests."""

import json

import pytest

from tests.support.oauth_client import pkce_pair
from tests.support.oauth_ext_server import METADATA, World

NOTES = {"type": "notes", "actions": ["read"], "notes": ["a"]}
OTHER = {**NOTES, "notes": ["b"]}


@pytest.fixture(name="world")
def _world():
    return World()


def push(world, text):
    return world.client.push(pkce_pair()[1], authorization_details=text)


def is_refused(answer):
    body = answer.json()
    return answer.status_code == 400 and body["error"] == "invalid_authorization_details"


def test_details_are_shown_granted_and_returned_rar_x4(world):
    body = world.tokens(details=[NOTES, OTHER])

    assert body["authorization_details"] == [NOTES, OTHER]


def test_the_consent_page_gets_the_parsed_details_rar_x3(world):
    uri = world.pushed(world.client, pkce_pair()[1], details=[NOTES])

    assert world.http.get(world.client.authorization_url(uri)).json()["details"] == [NOTES]


def test_no_details_return_none_section_7(world):
    assert "authorization_details" not in world.tokens()


@pytest.mark.parametrize("detail", [{}, {"type": 7}, {"type": None}, "notes", 1, None, []])
def test_a_type_is_required_rar_x1(world, detail):
    assert is_refused(push(world, json.dumps([detail])))


@pytest.mark.parametrize(
    "detail",
    [
        {**NOTES, "type": "unknown"},
        {**NOTES, "extra": 1},
        {**NOTES, "actions": "read"},
        {**NOTES, "actions": ["write"]},
        {"type": "notes", "actions": ["read"]},
    ],
    ids=["type", "member", "mistyped", "value", "missing"],
)
def test_what_does_not_fit_its_type_is_refused_rar_x2(world, detail):
    assert is_refused(push(world, json.dumps([detail])))
    assert is_refused(push(world, json.dumps([NOTES, detail])))


def test_a_type_that_the_client_is_not_registered_for_is_refused_rar_x8_thr_3(world):
    client = world.register("client-3", authorization_details_types=frozenset())

    assert is_refused(client.push(pkce_pair()[1], details=[NOTES]))


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        "[]",
        "7",
        "null",
        '"notes"',
        "[",
        "x",
        "[NaN]",
        json.dumps([NOTES] * 11),
        '[{"type":"notes","type":"notes"}]',
        json.dumps([{**NOTES, "notes": [[[[[[[["deep"]]]]]]]]}]),
        "[" * 20_000,
        json.dumps([{**NOTES, "notes": ["x" * 40_000]}]),
    ],
    ids=[
        "object",
        "empty",
        "number",
        "null",
        "string",
        "open",
        "text",
        "nan",
        "many",
        "repeated",
        "deep",
        "deeper",
        "long",
    ],
)
def test_what_is_no_short_list_of_objects_is_refused_rar_x2_thr_18(world, text):
    assert is_refused(push(world, text))


@pytest.mark.parametrize("text", ["\x00", "a\u202eb", "\u2066", "\u200b", "\ud800", "\n", "\ue000"])
def test_text_that_could_disguise_itself_is_refused_rar_x6_thr_14(world, text):
    assert is_refused(push(world, json.dumps([{**NOTES, "notes": [text]}])))
    assert is_refused(push(world, json.dumps([{**NOTES, "notes": [{text: 1}]}])))


def test_letters_of_any_language_are_accepted_rar_x6(world):
    detail = {**NOTES, "notes": ["Əlaqə məlumatı", "Ünvan: Bakı"]}

    assert world.tokens(details=[detail])["authorization_details"] == [detail]


def test_a_token_request_may_narrow_rar_x7_section_6(world):
    code, verifier = world.code(details=[NOTES, OTHER])

    body = world.client.redeem(code, verifier, authorization_details=json.dumps([OTHER])).json()

    assert body["authorization_details"] == [OTHER]
    introspected = world.client.introspect(body["access_token"]).json()
    assert introspected["authorization_details"] == [OTHER]


def test_a_refresh_may_narrow_and_widen_again_within_the_grant_rar_x7(world):
    refresh = world.tokens(details=[NOTES, OTHER])["refresh_token"]

    narrowed = world.client.refresh(refresh, authorization_details=json.dumps([NOTES])).json()
    whole = world.client.refresh(refresh).json()

    assert narrowed["authorization_details"] == [NOTES]
    assert whole["authorization_details"] == [NOTES, OTHER]


@pytest.mark.parametrize("asked", [[{**NOTES, "notes": ["a", "c"]}], [NOTES, OTHER], ["x"]])
def test_a_token_request_never_widens_rar_x7(world, asked):
    code, verifier = world.code(details=[NOTES])

    assert is_refused(world.client.redeem(code, verifier, authorization_details=json.dumps(asked)))


def test_a_refresh_never_widens_rar_x7(world):
    refresh = world.tokens(details=[NOTES])["refresh_token"]

    assert is_refused(world.client.refresh(refresh, authorization_details=json.dumps([OTHER])))


def test_introspection_returns_the_details_rar_x5(world):
    token = world.tokens(details=[NOTES])["access_token"]

    assert world.client.introspect(token).json()["authorization_details"] == [NOTES]


def test_the_types_are_published_rar_x8():
    assert METADATA["authorization_details_types_supported"] == ["notes"]
