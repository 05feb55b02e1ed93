"""An organisation's invitations over the API (CON-26; P-20, P-25)."""

from __future__ import annotations

import re
from contextlib import ExitStack
from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select, update

from api.oauth.models import Client
from api.worker import sweep
from consent.idempotency import IdempotencyKey
from consent.invitations import links
from consent.invitations.models import Invitation
from tests.support.worlds import TickingClock, world_on

PATH = "/v1/invitations"
REFERENCE = "K-20431"


class Scene:
    """A shop and a bank, each with a token and a template."""

    def __init__(self, world):
        self.world = world
        self.shop, self.bank = world.organisation("Shop"), world.organisation("Bank")
        self.template = self.shop.publish(required=["contact.email"])
        self.body = {"template": str(self.template.id), "reference": REFERENCE}

    def call(self, method, path="", *, body=None, who=None, headers=None, **query):
        who = who or self.shop
        return who.client.request(
            method,
            self.world.url(PATH + path),
            who.organisation_token(),
            json=body,
            params=query or None,
            headers=headers or {},
        )

    def move(self, **step):
        """Let time pass, and with it the tokens."""
        self.world.services.clock.move(**step)
        self.shop.token = self.bank.token = ""

    def rows(self, model):
        with self.world.services.uow.read() as session:
            return list(session.scalars(select(model)))


@pytest.fixture(scope="module")
def scene(stores):
    with ExitStack() as stack:
        store = stack.enter_context(stores.migrated("sqlite"))
        clock = TickingClock(datetime.now(UTC))
        yield Scene(stack.enter_context(world_on(store, clock=clock)))


def test_a_new_invitation_shows_its_link_once(scene):
    made = scene.shop.invite(scene.template)

    read = scene.call("GET", f"/{made['id']}").json()

    link = re.escape(scene.world.url("/invitation/")) + r"pds_iv\.[\w-]{64}\.[0-9a-f]{8}"
    assert re.fullmatch(link, made["url"])
    assert made["qr_svg"].startswith("<svg ")
    assert read == {name: made[name] for name in made if name not in {"url", "qr_svg"}}
    assert (read["state"], read["closed_at"]) == ("open", None)


def test_a_link_is_good_for_two_weeks_unless_said_otherwise(scene):
    made = [scene.shop.invite(scene.template, **more) for more in ({}, {"valid_for": "P90D"})]

    lasts = [
        datetime.fromisoformat(one["expires_at"]) - datetime.fromisoformat(one["created_at"])
        for one in made
    ]
    assert [each.days for each in lasts] == [14, 90]


@pytest.mark.parametrize(
    ("members", "pointer"),
    [
        ({"reference": ""}, "/reference"),
        ({"reference": "x" * 65}, "/reference"),
        ({"reference": "Aysel Məmmədova"}, "/reference"),
        ({"reference": "aysel@poct.example"}, "/reference"),
        ({"reference": " 7"}, "/reference"),
        ({"reference": "7\n"}, "/reference"),
        ({"reference": 7}, "/reference"),
        ({"valid_for": "P91D"}, "/valid_for"),
        ({"valid_for": "PT1H"}, "/valid_for"),
        ({"template": "no id"}, "/template"),
        ({"more": 1}, "/more"),
    ],
)
def test_what_is_no_invitation_is_refused_with_a_pointer(scene, members, pointer):
    """P-25: a reference is a number of the organisation's own, no name and no address."""
    answer = scene.call("POST", body=scene.body | members)

    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, pointer)


def test_a_repeated_request_makes_one_invitation_and_shows_no_secret_again(scene):
    """P-20, ORG-10."""
    key = {"Idempotency-Key": str(uuid4())}

    first, second = (scene.call("POST", body=scene.body, headers=key).json() for _ in range(2))

    assert first["id"] == second["id"]
    assert first["url"] is not None
    assert (second["url"], second["qr_svg"]) == (None, None)


def test_nothing_that_a_reference_could_be_guessed_by_is_kept_of_a_repeatable_request(scene):
    """P-20: the hash of a short number is the number."""
    scene.move(days=2)
    sweep(scene.world.services)
    for number, reference in enumerate(["K-1", "K-2"]):
        body = scene.body | {"reference": reference}
        scene.call("POST", body=body, headers={"Idempotency-Key": f"key-{number}"})

    assert len({row.request_sha256 for row in scene.rows(IdempotencyKey)}) == 1


def test_anothers_invitation_looks_like_none(scene):
    """SEC-S23."""
    own = scene.shop.invite(scene.template)["id"]

    for method in ("GET", "DELETE"):
        foreign, absent = (
            scene.call(method, f"/{which}", who=scene.bank) for which in (own, uuid4())
        )
        assert foreign.status_code == absent.status_code == 404
        assert foreign.json() == absent.json()
    assert scene.call("GET", f"/{own}").json()["state"] == "open"
    assert scene.call("GET", who=scene.bank).json()["invitations"] == []


def test_anothers_template_and_one_that_is_offered_no_more_look_like_none(scene):
    """SEC-S23."""
    absent = scene.call("POST", body=scene.body | {"template": str(uuid4())})
    foreign = scene.call("POST", body=scene.body, who=scene.bank)

    assert absent.status_code == foreign.status_code == 404
    assert absent.json() == foreign.json()


def test_a_client_without_a_start_page_cannot_invite(scene):
    client_id = scene.bank.client.client_id
    template = scene.bank.publish(required=["contact.email"])

    def without(session):
        session.execute(
            update(Client).where(Client.id == UUID(client_id)).values(initiate_login_uri=None)
        )

    scene.world.services.uow.write(without)
    answer = scene.call("POST", body=scene.body | {"template": str(template.id)}, who=scene.bank)

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "/initiate_login_uri"


def test_no_more_are_open_than_may_be(scene, monkeypatch):
    monkeypatch.setattr(links, "MOST_OPEN", 0)

    answer = scene.call("POST", body=scene.body)

    assert (answer.status_code, answer.json()["type"].rpartition("/")[2]) == (429, "limit-reached")


def test_what_is_withdrawn_or_expired_leaves_room(scene, monkeypatch):
    for row in scene.rows(Invitation):
        scene.call("DELETE", f"/{row.id}")
    monkeypatch.setattr(links, "MOST_OPEN", 1)

    first = scene.shop.invite(scene.template)
    assert scene.call("POST", body=scene.body).status_code == 429
    scene.call("DELETE", f"/{first['id']}")
    scene.shop.invite(scene.template, valid_for="P1D")
    scene.move(days=1)

    assert scene.call("POST", body=scene.body).status_code == 201


def test_withdrawing_drops_the_reference_and_repeats(scene):
    made = scene.shop.invite(scene.template)

    answers = [scene.call("DELETE", f"/{made['id']}").status_code for _ in range(2)]

    (row,) = [one for one in scene.rows(Invitation) if str(one.id) == made["id"]]
    assert answers == [204, 204]
    assert (row.state, row.reference_box) == ("withdrawn", None)
    assert scene.call("GET", f"/{made['id']}").json()["closed_at"] is not None


def test_an_expired_invitation_says_so_before_and_after_the_sweep_and_goes_in_the_end(scene):
    made = scene.shop.invite(scene.template, valid_for="P1D")
    services = scene.world.services
    scene.move(days=1)

    before = scene.call("GET", f"/{made['id']}").json()
    late = scene.call("DELETE", f"/{made['id']}").status_code
    sweep(services)
    after = scene.call("GET", f"/{made['id']}").json()
    (row,) = [one for one in scene.rows(Invitation) if str(one.id) == made["id"]]
    scene.move(days=links.KEPT_FOR.days)
    sweep(services)

    assert (before["state"], late, after["state"]) == ("expired", 409, "expired")
    assert after["closed_at"] == after["expires_at"]
    assert row.reference_box is None
    assert scene.call("GET", f"/{made['id']}").status_code == 404


def test_a_list_has_pages_and_never_a_reference(scene):
    made = [scene.shop.invite(scene.template)["id"] for _ in range(3)]

    ids, cursor, answer = [], {}, {"has_more": True}
    while answer["has_more"]:
        answer = scene.call("GET", limit=2, **cursor).json()
        ids += [one["id"] for one in answer["invitations"]]
        cursor = {"cursor": answer["next_cursor"]}
        assert REFERENCE not in str(answer)

    assert ids[-3:] == made
    assert ids == sorted(ids)
