"""Whatever is sent, the answer says what is wrong: never a 5xx, never somebody's data.

One scene for all of it, since nothing here may change anything.
"""

from __future__ import annotations

import json
from contextlib import ExitStack
from dataclasses import dataclass
from uuid import uuid4

import pytest

from api.worker import Worker
from consent.formats import deletion_receipt, jws
from consent.template_format import TYPE
from tests.support.oauth_client import OMIT, new_key, without_omitted
from tests.support.reading import page
from tests.support.stores import STORES
from tests.support.world import template_document
from tests.support.worlds import TickingClock, world_on

EMAIL = "contact.email"
CANARY = "canary@example.com"


@dataclass
class Scene:
    """A shop that may read and write contacts, a bank that may read profiles."""

    world: object
    clock: object
    aysel: object
    shop: object
    bank: object
    reads: object
    elsewhere: object
    record_id: str
    foreign_id: str

    def url(self, path):
        return self.world.url(path)

    def raw(self, method, path, **kwargs):
        return self.world.http.request(method, path, **kwargs)


@pytest.fixture(scope="module", params=STORES)
def scene(request, stores):
    with ExitStack() as stack:
        clock = TickingClock()
        store = stack.enter_context(stores.migrated(request.param))
        world = stack.enter_context(world_on(store, clock=clock))
        aysel, leyla = world.person("aysel"), world.person("leyla")
        shop, bank = world.organisation("Shop"), world.organisation("Bank")
        aysel.save("contact", email=CANARY)
        aysel.save("contact", email="second@example.com")
        leyla.save("contact", email="leyla@example.com")
        both = ["read", "write"]
        template = shop.publish(
            required=[EMAIL, "interests.topic", "bookmarks.url", "bookmarks.title"],
            actions=both,
            access={"mode": "on_change", "fetches_per_day": 1440},
        )
        reads = world.connect(aysel, shop, template, ask={"actions": both})
        foreign = world.connect(leyla, bank, bank.publish(required=[EMAIL]))
        yield Scene(
            world,
            clock,
            aysel,
            shop,
            bank,
            reads,
            foreign,
            page(reads)["records"][0]["id"],
            page(foreign)["records"][0]["id"],
        )


def is_problem(answer, *statuses):
    """Check that an answer is a problem document, and holds nobody's data."""
    assert answer.status_code in statuses, (answer.status_code, answer.text)
    assert answer.headers["Content-Type"] == "application/problem+json"
    body = answer.json()
    assert body["status"] == answer.status_code
    assert body["type"].startswith("http://127.0.0.1:8321/docs/errors/")
    assert "example.com" not in answer.text
    assert "Traceback" not in answer.text
    return body


def flipped(text, position):
    return text[:position] + ("A" if text[position] != "A" else "B") + text[position + 1 :]


BAD_TOKENS = {
    "empty": lambda _text: "",
    "a word": lambda _text: "token",
    "truncated": lambda text: text[:-1],
    "longer": lambda text: text + "0",
    "checksum": lambda text: flipped(text, -1).replace("A", "a").replace("B", "b"),
    "secret": lambda text: flipped(text, 40),
    "selector": lambda text: flipped(text, 10),
    "kind": lambda text: text.replace("pds_at", "pds_rt"),
    "unknown kind": lambda text: text.replace("pds_at", "pds_xx"),
    "padded": lambda text: text.replace(".", "=.", 1),
    "two in one": lambda text: f"{text} {text}",
    "long": lambda _text: "a" * 20_000,
    "control characters": lambda text: text + "\x0b",
}


@pytest.mark.parametrize("bad", BAD_TOKENS.values(), ids=BAD_TOKENS)
def test_a_malformed_token_is_not_valid(scene, bad):
    """P-3: all of it is the same 401."""
    text = bad(scene.reads.access_token)
    answer = scene.shop.get(
        "/v1/records",
        text,
        proof=scene.shop.client.proof("GET", scene.url("/v1/records"), access_token=text),
    )

    is_problem(answer, 401)
    assert answer.headers["WWW-Authenticate"].startswith("DPoP ")


def test_tokens_of_other_kinds_are_not_valid(scene):
    for text in (scene.reads.refresh_token, "pds_s." + scene.reads.access_token[7:]):
        is_problem(scene.shop.get("/v1/records", text), 401)


@pytest.mark.parametrize("scheme", ["Bearer", "Basic", "dpop2", ""])
def test_only_the_dpop_scheme_is_taken(scene, scheme):
    """DPoP-D15."""
    is_problem(scene.shop.get("/v1/records", scene.reads.access_token, scheme=scheme), 401)


def test_no_token_two_tokens_and_a_token_in_the_address(scene):
    """FAPI-R2."""
    url, token = scene.url("/v1/records"), scene.reads.access_token
    proof = scene.shop.client.proof("GET", url, access_token=token)
    is_problem(scene.raw("GET", url, headers={"DPoP": proof}), 401)
    headers = {"Authorization": f"DPoP {token}, DPoP {token}", "DPoP": proof}
    is_problem(scene.raw("GET", url, headers=headers), 400, 401)
    is_problem(scene.reads.get("/v1/records", params={"access_token": token}), 400)


def test_an_organisations_token_opens_no_data_and_a_grants_token_no_affairs(scene):
    """TAK-36, D8."""
    organisation = scene.shop.organisation_token()
    for path in ("/v1/records", "/v1/grant", "/v1/receipt"):
        is_problem(scene.shop.get(path, organisation), 401, 403)
    for path in ("/v1/organisation", "/v1/connections", "/v1/changes", "/v1/templates"):
        is_problem(scene.reads.get(path), 403)


@pytest.mark.parametrize(
    "proof",
    [
        pytest.param({"proof": OMIT}, id="none"),
        pytest.param({"method": "POST"}, id="another method"),
        pytest.param({"path": "/v1/grant"}, id="another URL"),
        pytest.param({"access_token": None}, id="without ath"),
        pytest.param({"claims": {"ath": "x" * 43}}, id="another ath"),
        pytest.param({"claims": {"iat": 1}}, id="old"),
        pytest.param({"claims": {"iat": 4_000_000_000}}, id="of the future"),
        pytest.param({"claims": {"iat": "now"}}, id="iat is text"),
        pytest.param({"claims": {"jti": OMIT}}, id="without jti"),
        pytest.param({"header": {"typ": "JWT"}}, id="another type"),
        pytest.param({"key": new_key()}, id="another key"),
        pytest.param({"text": "a.b.c"}, id="no JWT"),
        pytest.param({"text": "e30.e30.AA"}, id="empty JWT"),
        pytest.param({"text": "." * 5_000}, id="dots"),
    ],
)
def test_a_bad_proof_proves_nothing(scene, proof):
    """RFC 9449 section 4.3; the checks one by one are in the conformance tests."""
    token = scene.reads.access_token
    if "text" in proof:
        text = proof["text"]
    elif proof.get("proof") is OMIT:
        text = OMIT
    else:
        text = scene.shop.client.proof(
            proof.get("method", "GET"),
            scene.url(proof.get("path", "/v1/records")),
            key=proof.get("key"),
            access_token=proof.get("access_token", token),
            header=proof.get("header", ()),
            claims=proof.get("claims", ()),
        )

    is_problem(scene.reads.get("/v1/records", proof=text), 400, 401)


def test_a_proof_is_good_once_whatever_the_answer_was(scene):
    """DPoP-D23."""
    for path in ("/v1/records", "/v1/grant", "/v1/receipt", "/v1/records/identity/" + str(uuid4())):
        proof = scene.shop.client.proof(
            "GET", scene.url(path), access_token=scene.reads.access_token
        )
        first = scene.reads.get(path, proof=proof)
        assert first.status_code in {200, 403}, first.text
        is_problem(scene.reads.get(path, proof=proof), 401)


def test_what_belongs_to_another_looks_as_if_it_were_not_there(scene):
    """SEC-S23: status, body and headers."""

    def told(answer):
        return answer.status_code, answer.content, sorted(answer.headers)

    absent, theirs = str(uuid4()), scene.foreign_id
    paths = [f"/v1/records/contact/{one}" for one in (absent, theirs)]
    assert told(scene.reads.get(paths[0])) == told(scene.reads.get(paths[1]))
    is_problem(scene.reads.get(paths[0]), 404)

    client = scene.shop.client
    unknown = scene.elsewhere.access_token[:-8] + "00000000"
    for ask in (client.introspect, client.revoke):
        assert told(ask(scene.elsewhere.access_token)) == told(ask(unknown))
    assert scene.elsewhere.get("/v1/grant").status_code == 200
    refreshed = client.refresh(scene.elsewhere.refresh_token)
    assert refreshed.json()["error"] == "invalid_grant"


def test_log_entries_are_opened_for_the_grants_own_organisation_alone(scene):
    """P-33, SEC-S23: another's stream, a vault's and the deployment's are as one that is none."""
    own = scene.reads.get("/v1/records").headers["PDS-Log-Entry"].partition("/")[0]
    theirs = scene.elsewhere.get("/v1/records").headers["PDS-Log-Entry"].partition("/")[0]
    worker = Worker(scene.world.services)
    worker.turn()
    worker.stop()
    token = scene.shop.organisation_token()

    def told(stream):
        answer = scene.shop.get("/v1/log-entries", token, params={"stream": stream})
        return answer.status_code, answer.content

    assert told(own)[0] == 200
    vault = f"v.{scene.aysel.vault_id.hex}"
    absent = f"g.{uuid4().hex}"
    for stream in (theirs, vault, "d", own.upper(), f"{own}/1", "g.", "%00"):
        assert told(stream) == told(absent), stream
    is_problem(scene.shop.get("/v1/log-entries", token, params={"stream": theirs}), 404)
    is_problem(scene.reads.get("/v1/log-entries", params={"stream": own}), 403)


def test_an_obligation_of_another_organisation_looks_as_if_it_were_not_there(scene):
    leyla = scene.world.person("obliged")
    connected = scene.world.connect(leyla, scene.bank, scene.bank.publish(required=[EMAIL]))
    connected.withdraw()
    owing = scene.bank.get("/v1/obligations", scene.bank.organisation_token()).json()
    (owed,) = (each for each in owing["obligations"] if each["kind"] == "delete")
    token, answers = scene.shop.organisation_token(), []
    for one in (owed["id"], str(uuid4())):
        receipt = deletion_receipt.sign(
            deletion_receipt.build(deletion(owed)), scene.shop.signing_key, scene.shop.kid
        )
        answers.append(scene.shop.post(f"/v1/obligations/{one}/confirmation", token, receipt))

    assert [answer.status_code for answer in answers] == [404, 404]
    assert answers[0].content == answers[1].content
    assert scene.shop.get("/v1/obligations", token).json()["obligations"] == []


@pytest.mark.parametrize("collection", ["nothing", "identity", "", "contact.email", "*", "'"])
def test_a_collection_that_is_not_agreed_is_refused_whether_it_exists_or_not(scene, collection):
    """P-25, SEC-S24."""
    answer = scene.reads.get("/v1/records", params={"collection": collection})

    is_problem(answer, 403, 422)


@pytest.mark.parametrize("path", ["contact/no-uuid", "contact/", "//", "contact/1/2"])
def test_a_path_that_is_none_is_not_found(scene, path):
    is_problem(scene.reads.get(f"/v1/records/{path}"), 404, 405)


@pytest.mark.parametrize("limit", ["0", "-1", "501", "ten", "1e3", "", "9" * 5_000])
def test_a_limit_out_of_range_is_refused(scene, limit):
    """SEC-S42."""
    is_problem(scene.reads.get("/v1/records", params={"limit": limit}), 422)


@pytest.mark.parametrize(
    "cursor",
    ["", "x", "=", "A" * 300, "ə", "A" * 1_001, "\x00", "null", "AAAA=AAA"],
    ids=["empty", "short", "padding", "noise", "letter", "long", "zero", "word", "inner padding"],
)
def test_a_cursor_that_is_none_is_told_to_list_again(scene, cursor):
    """P-23."""
    is_problem(scene.reads.get("/v1/records", params={"cursor": cursor}), 410, 422)


def test_a_cursor_is_of_one_grant_one_selection_and_whole(scene):
    """P-23: of another grant, of another collection, or changed anywhere: 410."""
    mine = page(scene.reads)["next_cursor"]
    theirs = page(scene.elsewhere)["next_cursor"]
    is_problem(scene.reads.get("/v1/records", params={"cursor": theirs}), 410)
    narrower = {"cursor": mine, "collection": "contact"}
    is_problem(scene.reads.get("/v1/records", params=narrower), 410)
    for position in (1, 20, 60, 120, len(mine) - 3):
        changed = flipped(mine, position)
        is_problem(scene.reads.get("/v1/records", params={"cursor": changed}), 410)
    assert scene.reads.get("/v1/records", params={"cursor": mine}).status_code == 200


BAD_BODIES = {
    "nothing": b"",
    "no JSON": b"{",
    "a list": b"[]",
    "a number": b"1",
    "null": b"null",
    "text": b'"text"',
    "not UTF-8": b'{"document_id": "\xff", "data": {}}',
    "no members": b"{}",
    "unknown member": b'{"document_id": "1", "data": {"topic": "x"}, "more": 1}',
    "data is a list": b'{"document_id": "1", "data": []}',
    "id is a number": b'{"document_id": 1, "data": {"topic": "x"}}',
    "id is empty": b'{"document_id": "", "data": {"topic": "x"}}',
    "id is long": b'{"document_id": "%s", "data": {"topic": "x"}}' % (b"a" * 129),
    "id has a zero character": rb'{"document_id": "a\u0000b", "data": {"topic": "x"}}',
    "id has half a character": rb'{"document_id": "a\ud800b", "data": {"topic": "x"}}',
    "value has half a character": rb'{"document_id": "1", "data": {"topic": "a\ud800b"}}',
    "name has half a character": rb'{"document_id": "1", "data": {"\ud800": "x"}}',
    "attribute is unknown": b'{"document_id": "1", "data": {"nothing": "x"}}',
    "attribute is not agreed": b'{"document_id": "1", "data": {"topic": "x", "level": "high"}}',
    "value is a number": b'{"document_id": "1", "data": {"topic": 1}}',
    "value is huge": b'{"document_id": "1", "data": {"topic": %s}}' % (b"9" * 5_000),
    "value is not a number": b'{"document_id": "1", "data": {"topic": NaN}}',
    "value is nested": b'{"document_id": "1", "data": {"topic": {"a": {"b": []}}}}',
    "nested without end": b'{"document_id": "1", "data": ' + b"[" * 200_000,
    "nested deep": b'{"document_id": "1", "data": %s1%s}' % (b"[" * 50_000, b"]" * 50_000),
    "twice": b'{"document_id": "1", "document_id": 2, "data": {"topic": "x"}}',
}


@pytest.mark.parametrize("body", BAD_BODIES.values(), ids=BAD_BODIES)
def test_a_document_that_is_none_is_refused(scene, body):
    """SEC-S42, SEC-S41."""
    answer = scene.shop.client.request(
        "POST",
        scene.url("/v1/records/interests"),
        scene.reads.access_token,
        content=body,
        headers={"Content-Type": "application/json"},
    )

    is_problem(answer, 400, 413, 422)


def test_a_document_for_a_collection_that_is_not_agreed_or_not_there_is_refused(scene):
    body = {"document_id": "1", "data": {"topic": "chess"}}
    is_problem(scene.reads.post("/v1/records/identity", body), 403)
    is_problem(scene.reads.post("/v1/records/nothing", body), 403, 404)


@pytest.mark.parametrize("media", ["text/plain", "application/x-www-form-urlencoded", None])
def test_only_json_is_taken(scene, media):
    """SEC-S43."""
    headers = {} if media is None else {"Content-Type": media}
    answer = scene.shop.client.request(
        "POST",
        scene.url("/v1/records/interests"),
        scene.reads.access_token,
        content=b'{"document_id": "1", "data": {"topic": "x"}}',
        headers=headers,
    )

    is_problem(answer, 400, 415, 422)


@pytest.mark.parametrize("path", ["/v1/records/interests", "/v1/templates"])
def test_a_body_above_the_limit_is_too_large(scene, path):
    """SEC-S42, API4."""
    token = scene.shop.organisation_token() if "templates" in path else scene.reads.access_token
    body = {"document_id": "1", "data": {"topic": "x" * 1_200_000}}

    is_problem(scene.shop.post(path, token, body), 413)


@pytest.mark.parametrize("path", ["/oauth/par", "/oauth/token", "/oauth/revoke"])
def test_a_form_above_the_limit_is_too_large(scene, path):
    answer = scene.raw("POST", path, data={"client_id": "x" * 1_200_000})

    assert answer.status_code == 413


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", "/v1/records", "GET"),
        ("PUT", "/v1/records/contact/" + "0" * 8 + "-0000-8000-8000-000000000000", "GET"),
        ("PATCH", "/v1/grant", "GET"),
        ("POST", "/v1/connections", "GET"),
        ("TRACE", "/v1/records", "GET"),
        ("GET", "/oauth/token", "POST"),
    ],
)
def test_a_method_that_is_not_offered_names_those_that_are(scene, method, path, allowed):
    """SEC-S44, SEC-S45."""
    answer = scene.raw(method, path)

    assert answer.status_code == 405
    assert allowed in answer.headers["Allow"]


@pytest.mark.parametrize("path", ["/v1/nothing", "/v2/records", "/v1", "/.git/config", "/%00"])
def test_a_path_that_is_not_there_is_not_found(scene, path):
    assert scene.raw("GET", path).status_code == 404


@pytest.mark.parametrize("path", ["/oauth//token", "/oauth/token/", "/oauth//grants/x"])
def test_no_credentials_are_sent_on_to_a_path_that_is_nearly_one_bcp_b15_fapi_a10(scene, path):
    """A 308 would have the client repeat its POST, at whatever host `Host` names."""
    answer = scene.world.app.test_client().post(path, headers={"Host": "evil.example"})

    assert answer.status_code == 404
    assert "Location" not in answer.headers


@pytest.mark.parametrize(
    ("path", "parameters"),
    [
        ("/v1/changes", {"after": "-1"}),
        ("/v1/changes", {"after": "1" + "0" * 30}),
        ("/v1/changes", {"after": "x"}),
        ("/v1/changes", {"after": "1000000"}),
        ("/v1/changes", {"limit": "0"}),
        ("/v1/connections", {"cursor": "x"}),
        ("/v1/connections", {"cursor": "x" * 65}),
        ("/v1/connections", {"limit": "1000000000000000000000"}),
        ("/v1/obligations", {"state": "overdue"}),
        ("/v1/obligations", {"limit": "501"}),
        ("/v1/log-entries", {}),
        ("/v1/log-entries", {"stream": "d", "after": "-1"}),
        ("/v1/log-entries", {"stream": "d", "after": str(2**63 - 1)}),
        ("/v1/log-entries", {"stream": "d", "limit": "501"}),
        ("/v1/log-entries", {"stream": "d", "size": "x"}),
    ],
)
def test_queries_of_the_organisations_affairs_are_checked(scene, path, parameters):
    token = scene.shop.organisation_token()

    is_problem(scene.shop.get(path, token, params=parameters), 410, 422)


BAD_ASKS = {
    "no template": {"template": OMIT},
    "unknown template": {"template": str(uuid4())},
    "unknown version": {"template_sha256": "0" * 64},
    "version is a list": {"template_sha256": ["0" * 64]},
    "unknown member": {"sub": "someone"},
    "unknown member with a quotation mark": {'a"b': 1},
    "unknown member of other letters": {"ə": 1},
    "unknown member without end": {"a" * 20_000: 1},
    "unknown attribute with a quotation mark": {"attributes": [EMAIL, 'a"b\\c']},
    "unknown type": {"type": "payment"},
    "another action": {"actions": ["delete"]},
    "an action that the template lacks": {"actions": ["read", "write"]},
    "no action": {"actions": []},
    "actions are text": {"actions": "read"},
    "unknown attribute": {"attributes": [EMAIL, "contact.nothing"]},
    "attribute that the template lacks": {"attributes": [EMAIL, "identity.national_id"]},
    "optional as required": {"attributes": [EMAIL, "profile.given_name"]},
    "required as optional": {"attributes": [], "optional_attributes": [EMAIL]},
    "twice": {"attributes": [EMAIL, EMAIL]},
    "nothing": {"attributes": [], "optional_attributes": []},
    "attributes are numbers": {"attributes": [1]},
    "too long": {"duration": "P366D"},
    "no duration": {"duration": "P0D"},
    "duration in months": {"duration": "P1M"},
    "duration is a number": {"duration": 30},
    "another location": {"locations": ["https://elsewhere.example/v1"]},
    "coarsening": {"coarsenings": {}},
}


@pytest.mark.parametrize("change", BAD_ASKS.values(), ids=BAD_ASKS)
def test_a_request_that_its_template_does_not_cover_is_refused_as_it_is_pushed(scene, change):
    """P-27, RFC 9396 section 5."""
    template = asked_under(scene)
    asked = without_omitted(scene.shop.details(template)[0] | change)

    answer = scene.shop.client.push("x" * 43, details=[asked])

    assert answer.status_code == 400, answer.text
    assert answer.json()["error"] in {"invalid_authorization_details", "invalid_request"}


def test_a_template_of_another_organisation_cannot_be_asked_under(scene):
    details = scene.bank.details(asked_under(scene))

    answer = scene.bank.client.push("x" * 43, details=details)

    assert answer.json()["error"] == "invalid_authorization_details"


@pytest.mark.parametrize("text", ["{", "[]", "[1]", "{}", "null", '[{"type": 1}]', "[" * 60_000])
def test_authorization_details_that_are_none_are_refused(scene, text):
    form = scene.shop.client.request_parameters("x" * 43, authorization_details=text)

    answer = scene.shop.client.post("pushed_authorization_request", form, proof=OMIT)

    assert answer.status_code in {400, 413}, answer.text


BAD_TEMPLATES = {
    "unknown attribute": {"required": ["contact.nothing"]},
    "companion": {"required": ["contact.label"]},
    "unknown purpose": {"purpose": "profit"},
    "unknown lawful basis": {"lawful_basis": "legitimate_interest"},
    "wording in one language": {"purpose_text": {"en": "Why."}},
    "purpose too long": {"purpose_text": {"az": "x" * 161, "en": "x"}},
    "too often": {"access": {"mode": "on_change", "fetches_per_day": 1441}},
    "duration": {"max_duration": "P1Y"},
    "retention": {"retention": {"after_end": "forever", "text": {"az": "x", "en": "x"}}},
    "range without a date": {"required": [EMAIL], "data_from": {"contact": "2026-01-01"}},
    "unknown member": {"more": True},
    "version": {"version": 2},
    "version zero": {"version": 0},
    "version is true": {"version": True},
    "id": {"id": "x"},
    "jurisdiction": {"jurisdiction": "Bakı"},
    "half a character": {"storage_location": "A\ud800"},
}


@pytest.mark.parametrize("members", BAD_TEMPLATES.values(), ids=BAD_TEMPLATES)
def test_a_template_that_breaks_a_rule_is_refused_with_its_place(scene, members):
    document = template_document(scene.shop.id, **({"required": [EMAIL]} | members))
    answer = post_template(scene, document)

    body = is_problem(answer, 400, 409, 422)
    assert answer.status_code != 422 or body["errors"][0]["pointer"]


def test_a_template_is_signed_by_its_own_organisation(scene):
    """P-27."""
    document = template_document(scene.shop.id, required=[EMAIL])
    by_another = jws.sign(document, scene.bank.signing_key, kid=scene.shop.kid, typ=TYPE)
    of_another = template_document(scene.bank.id, required=[EMAIL])
    for sent in (document, by_another, signed(scene.shop, of_another), [], 1, "x"):
        token = scene.shop.organisation_token()
        is_problem(scene.shop.post("/v1/templates", token, sent), 400, 422)
    changed = signed(scene.shop, document) | {"storage_location": "US"}
    token = scene.shop.organisation_token()
    is_problem(scene.shop.post("/v1/templates", token, changed), 422)


def test_a_template_id_of_another_organisation_cannot_be_taken(scene):
    template = asked_under(scene)
    document = template_document(
        scene.bank.id, required=[EMAIL], id=str(template.id), version=template.version + 1
    )
    token = scene.bank.organisation_token()

    answer = scene.bank.post("/v1/templates", token, signed(scene.bank, document))

    is_problem(answer, 409)


def test_nothing_of_all_this_changed_what_may_be_read(scene):
    """Run last: the scene is as it was."""
    assert [one["data"]["email"] for one in page(scene.reads)["records"]] == [
        CANARY,
        "second@example.com",
    ]
    assert scene.aysel.sign_in().absorbed == 0


def asked_under(scene):
    if not hasattr(scene, "template"):
        scene.template = scene.shop.publish(required=[EMAIL], optional=["profile.given_name"])
    return scene.template


def signed(organisation, document, typ=TYPE):
    return jws.sign(document, organisation.signing_key, kid=organisation.kid, typ=typ)


def post_template(scene, document):
    token = scene.shop.organisation_token()
    try:
        sent = signed(scene.shop, document)
    except ValueError:
        sent = document | {"proof": {"jws": "e30..AA"}}
    return scene.shop.client.request(
        "POST",
        scene.url("/v1/templates"),
        token,
        content=json.dumps(sent).encode(),
        headers={"Content-Type": "application/json"},
    )


def deletion(owed):
    return deletion_receipt.DeletionFacts(
        connection=owed["connection"],
        agreement=owed["agreement"]["id"],
        requested_at=owed["requested_at"],
        erased_at=owed["requested_at"],
        outcome=deletion_receipt.Outcome.ERASED,
        reason=None,
        items={"contact": 1},
        connector="test 1",
        verified_by_reread=True,
    )
