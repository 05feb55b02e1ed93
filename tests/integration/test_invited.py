"""From an invitation to an agreement that names the organisation's own number (CON-26)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from uuid import uuid4

import pytest
from sqlalchemy import select, update

from api import checking
from api.oauth.authorization import AuthorizationPageError
from consent import grants, organisations
from consent.formats import canonical
from consent.invitations import links, references
from consent.invitations.holding import InvitationService
from consent.invitations.models import Invitation, OpenedInvitation
from consent.models import Agreement, AgreementVersion, ConsentEvent, Request
from consent.narrowing import Reduction
from consent.vocabulary import Standing
from pds.crypto.secrets import TokenSecret, mint
from pds.errors import ConflictError, DecryptionError, NotFoundError
from tests.support.oauth_client import pkce_pair
from tests.support.world import secret_of

REFERENCE = "K-20431"
EMAIL, PHONE = "contact.email", "contact.phone"


@dataclass
class Scene:
    """A shop with a template, and somebody who may be invited."""

    world: object
    aysel: object
    shop: object
    template: object

    def invite(self, reference=REFERENCE, **members):
        return self.shop.invite(self.template, reference, **members)

    def opened(self, reference=REFERENCE, **members):
        """Return an invitation that Aysel went on with."""
        invited = self.invite(reference, **members)
        self.world.go_on(self.aysel, invited)
        return invited

    def connect(self, invited=None, **chosen):
        ask = {"invitation": invited["id"]} if invited else {}
        return self.world.connect(self.aysel, self.shop, self.template, ask=ask, **chosen)

    def push(self, invitation, *, who=None, template=None):
        who = who or self.shop
        details = who.details(template or self.template, invitation=invitation)
        return who.client.push(pkce_pair()[1], details=details)

    def ask(self, invited):
        """Push a request under an invitation; returns its URI."""
        answer = self.push(invited["id"])
        assert answer.status_code == 201, answer.text
        return answer.json()["request_uri"]

    def state(self, invited):
        with self.world.services.uow.read() as session:
            return session.get(Invitation, secret_of(invited).selector).state

    def rows(self, model):
        with self.world.services.uow.read() as session:
            return list(session.scalars(select(model)))


@pytest.fixture
def scene(world, aysel, shop, request):
    aysel.save("contact", email="a@example.com", phone="+994501112233")
    yield Scene(world, aysel, shop, shop.publish(required=[EMAIL], optional=[PHONE]))
    if not request.node.get_closest_marker("tampers"):
        assert list(checking.violations(world.services.uow)) == []


def reference_of(connected):
    answer = connected.get("/v1/grant")
    assert answer.status_code == 200, answer.text
    return answer.json()["reference"]


def test_whoever_is_invited_and_allows_is_known_by_the_number(scene):
    """CON-26: the organisation finds its own entry without comparing names."""
    invited = scene.opened()

    connected = scene.connect(invited)

    assert reference_of(connected) == REFERENCE
    assert scene.state(invited) == "used"
    assert scene.rows(OpenedInvitation) == []


def test_without_an_invitation_there_is_no_number(scene):
    assert reference_of(scene.connect()) is None


def test_the_agreements_text_names_the_invitation_and_not_the_number(scene):
    """P-9, P-20: the text is kept in the open, the terms are sealed."""
    invited = scene.opened()
    scene.connect(invited)

    (version,) = scene.rows(AgreementVersion)

    assert canonical.parse(version.document)["invitation"] == invited["id"]
    assert REFERENCE.encode() not in version.document


def test_the_first_who_goes_on_holds_it_and_can_go_on_again(scene):
    other = scene.world.person("kamran")
    invited = scene.invite()
    first = scene.world.go_on(scene.aysel, invited)

    with pytest.raises(NotFoundError):
        scene.world.go_on(other, invited)
    with pytest.raises(NotFoundError):
        scene.world.services.invitations.look(secret_of(invited), None, None)

    assert scene.world.go_on(scene.aysel, invited) == first
    assert first.reference == REFERENCE


def test_of_two_who_go_on_at_once_one_is_first(scene, monkeypatch):
    other = scene.world.person("kamran")
    invited = scene.invite()
    seen = scene.world.services.invitations.look(secret_of(invited), None, None)
    scene.world.go_on(scene.aysel, invited)
    monkeypatch.setattr(InvitationService, "look", lambda *_arguments: seen)

    with pytest.raises(NotFoundError):
        scene.world.go_on(other, invited)

    assert [row.vault_id for row in scene.rows(OpenedInvitation)] == [scene.aysel.vault_id]


def test_a_locked_holder_sees_that_it_is_theirs_but_not_the_number(scene):
    invited = scene.opened()
    vault = scene.aysel.visitor.vault

    seen = scene.world.services.invitations.look(secret_of(invited), vault, None)

    assert seen.reference is None


def test_another_secret_for_the_same_link_opens_nothing(scene):
    forged = mint("iv", secret_of(scene.invite()).selector)

    with pytest.raises(NotFoundError):
        scene.world.services.invitations.look(forged, None, None)


def test_an_invitation_that_ran_out_opens_nothing(scene, clock):
    invited, opened = scene.invite(valid_for="P1D"), scene.opened(valid_for="P1D")
    clock.move(days=1)
    scene.aysel.sign_in()

    for each in (invited, opened):
        with pytest.raises(NotFoundError):
            scene.world.go_on(scene.aysel, each)


def test_the_sweep_goes_batch_by_batch_and_leaves_no_invitation_half_closed(scene, clock):
    for _ in range(3):
        scene.opened(valid_for="P1D")
    clock.move(days=1)

    def turn(session):
        return links.sweep(session, now=clock.now(), limit=2)

    left = []
    while scene.world.services.uow.write(turn):
        left.append(len(scene.rows(OpenedInvitation)))
        assert list(checking.violations(scene.world.services.uow)) == []

    assert left == [1, 0]
    assert {row.state for row in scene.rows(Invitation)} == {"expired"}


def test_one_that_was_withdrawn_opens_nothing_and_its_number_is_gone(scene):
    invited, opened = scene.invite(), scene.opened()
    for each in (invited, opened):
        answer = scene.shop.client.request(
            "DELETE",
            scene.world.url(f"/v1/invitations/{each['id']}"),
            scene.shop.organisation_token(),
        )
        assert answer.status_code == 204

    for each in (invited, opened):
        with pytest.raises(NotFoundError):
            scene.world.go_on(scene.aysel, each)
    assert scene.rows(OpenedInvitation) == []


def test_the_link_of_a_suspended_organisation_rests(scene, monkeypatch):
    invited, invitations = scene.invite(), scene.world.services.invitations
    seen = invitations.look(secret_of(invited), None, None)
    write = scene.world.services.uow.write
    write(lambda session: organisations.set_standing(session, scene.shop.id, Standing.SUSPENDED))

    with pytest.raises(NotFoundError):
        invitations.look(secret_of(invited), None, None)
    with monkeypatch.context() as as_it_was_seen_before:
        as_it_was_seen_before.setattr(InvitationService, "look", lambda *_arguments: seen)
        with pytest.raises(NotFoundError):
            scene.world.go_on(scene.aysel, invited)

    write(lambda session: organisations.set_standing(session, scene.shop.id, Standing.GOOD))
    assert scene.world.go_on(scene.aysel, invited).reference == REFERENCE


def test_the_link_shows_the_template_that_is_in_force(scene):
    invited = scene.invite()
    later = scene.shop.publish(**{**scene.template.document, "version": 2, "recipients": ["AB"]})

    assert scene.world.go_on(scene.aysel, invited).template.sha256 == later.sha256


def test_a_request_under_an_invitation_that_does_not_fit_is_refused(scene):
    """P-27: a push names a good invitation of its own client and template, or none."""
    bank = scene.world.organisation("Bank")
    foreign = bank.invite(bank.publish(required=[EMAIL]))
    used, good, short = scene.opened(), scene.opened(), scene.opened(valid_for="P1D")
    scene.connect(used)

    answers = {
        "another organisation's": scene.push(foreign["id"]),
        "another client's": scene.push(good["id"], who=scene.shop.another_client()),
        "another template's": scene.push(good["id"], template=scene.shop.publish(required=[EMAIL])),
        "used": scene.push(used["id"]),
        "unknown": scene.push(str(uuid4())),
        "no id": scene.push(REFERENCE),
        "a number": scene.push(7),
        "null": scene.push(None),
    }
    scene.world.services.clock.move(days=1)
    answers["expired"] = scene.push(short["id"])

    taken = {what for what, answer in answers.items() if answer.status_code != 400}
    assert taken == set()
    assert {each.json()["error"] for each in answers.values()} == {"invalid_authorization_details"}


def test_a_request_under_anothers_invitation_is_shown_to_nobody(scene):
    """THR-7: a link with somebody else's invitation must not have me taken for them."""
    other = scene.world.person("kamran")
    uri = scene.ask(scene.opened())

    with pytest.raises(AuthorizationPageError) as refused:
        scene.world.open_request(other, scene.shop, uri)

    assert refused.value.code == "not_your_invitation"
    assert scene.rows(Request) == []
    scene.world.open_request(scene.aysel, scene.shop, uri)


def test_a_request_under_an_invitation_that_nobody_opened_is_shown_to_nobody(scene):
    """THR-7"""
    uri = scene.ask(scene.invite())

    with pytest.raises(AuthorizationPageError):
        scene.world.open_request(scene.aysel, scene.shop, uri)


@pytest.mark.parametrize("decide", ["allow", "refuse"])
def test_nobody_decides_under_anothers_invitation_whatever_page_let_them(
    scene, monkeypatch, decide
):
    """THR-7: the transaction of the decision asks again."""
    other = scene.world.person("kamran")
    other.save("contact", email="k@example.com")
    invited = scene.opened()
    uri = scene.ask(invited)
    monkeypatch.setattr(InvitationService, "is_held_by", lambda *_arguments: True)
    opened = scene.world.open_request(other, scene.shop, uri)

    with pytest.raises(ConflictError):
        getattr(scene.world, decide)(other, opened)

    assert scene.state(invited) == "opened"
    assert scene.rows(Agreement) == []


def test_a_refusal_spends_the_invitation_and_tells_nothing(scene):
    invited = scene.opened()

    scene.world.refuse(
        scene.aysel, scene.world.open_request(scene.aysel, scene.shop, scene.ask(invited))
    )

    assert scene.state(invited) == "declined"
    assert scene.rows(OpenedInvitation) == []
    assert scene.push(invited["id"]).status_code == 400


def test_putting_aside_leaves_the_invitation_as_it_is(scene):
    invited = scene.opened()
    uri = scene.ask(invited)
    scene.world.defer(scene.aysel, scene.world.open_request(scene.aysel, scene.shop, uri))

    again = scene.world.open_request(scene.aysel, scene.shop, uri)

    assert scene.state(invited) == "opened"
    scene.world.allow(scene.aysel, again)
    assert scene.state(invited) == "used"


def test_a_withdrawal_between_page_and_decision_decides_nothing(scene):
    invited = scene.opened()
    opened = scene.world.open_request(scene.aysel, scene.shop, scene.ask(invited))
    scene.shop.client.request(
        "DELETE",
        scene.world.url(f"/v1/invitations/{invited['id']}"),
        scene.shop.organisation_token(),
    )

    with pytest.raises(ConflictError):
        scene.world.allow(scene.aysel, opened)

    assert [row.state for row in scene.rows(Request)] == ["seen"]
    assert scene.rows(Agreement) == []


def test_amending_narrowing_and_renewing_keep_the_number(scene, clock):
    connected = scene.connect(scene.opened())
    amended = reference_of(scene.connect(optional=[PHONE]))
    clock.move(seconds=2)
    renewed = scene.connect(optional=[PHONE])
    kept = reference_of(renewed)
    visitor, narrowing = scene.aysel.visitor, scene.world.services.narrowing
    seen = narrowing.offer(visitor.vault, connected.agreement_id).before.sha256
    narrowing.narrow(
        visitor.vault, visitor.open_vault, connected.agreement_id, Reduction(seen, frozenset())
    )

    acts = [row.act for row in sorted(scene.rows(ConsentEvent), key=lambda row: row.seq)]

    assert acts == ["allow_part", "amend", "renew", "narrow"]
    refreshed = scene.shop.client.refresh(renewed.refresh_token).json()["access_token"]
    narrowed = scene.shop.get("/v1/grant", refreshed).json()["reference"]
    assert (amended, kept, narrowed) == (REFERENCE,) * 3


def test_another_invitation_puts_its_number_in_place_and_is_an_amendment(scene, clock):
    scene.connect(scene.opened())
    clock.move(seconds=2)

    changed = scene.connect(scene.opened("K-99"))

    assert reference_of(changed) == "K-99"
    acts = [row.act for row in sorted(scene.rows(ConsentEvent), key=lambda row: row.seq)]
    assert acts[1].startswith("amend")


def test_the_person_reads_the_number_also_after_the_end(scene):
    connected = scene.connect(scene.opened())
    connected.withdraw()
    open_vault = scene.aysel.visitor.open_vault

    with scene.world.services.uow.read() as session:
        terms = grants.terms_of(session, open_vault, connected.agreement_id)
        stranger = scene.world.person("kamran").visitor.open_vault
        assert grants.terms_of(session, stranger, connected.agreement_id) is None

    assert terms.reference == REFERENCE


def test_no_answer_but_the_grants_own_has_the_number(scene):
    """P-20, P-25: not the token's, the connections', the feed's nor the receipt's."""
    connected = scene.connect(scene.opened())
    token = scene.shop.organisation_token()

    answers = [
        json.dumps(connected.body),
        connected.get("/v1/receipt").text,
        connected.get("/v1/records").text,
        *(
            scene.shop.get(path, token).text
            for path in ("/v1/connections", "/v1/changes", "/v1/invitations")
        ),
    ]

    assert [each for each in answers if REFERENCE in each] == []


@pytest.mark.tampers
def test_a_number_that_was_moved_to_another_invitation_opens_nothing(scene):
    """TAK-21"""
    one, two = scene.opened("K-1"), scene.opened("K-2")
    boxes = {row.invitation_id: row.reference_box for row in scene.rows(OpenedInvitation)}
    first, second = (secret_of(each).selector for each in (one, two))

    def swap(session):
        for to, box in ((first, boxes[second]), (second, boxes[first])):
            session.execute(
                update(OpenedInvitation)
                .where(OpenedInvitation.invitation_id == to)
                .values(reference_box=box)
            )

    scene.world.services.uow.write(swap)
    uri = scene.ask(one)
    opened = scene.world.open_request(scene.aysel, scene.shop, uri)

    with pytest.raises(DecryptionError):
        scene.world.allow(scene.aysel, opened)


@pytest.mark.tampers
def test_a_number_under_another_link_or_for_another_organisation_opens_nothing(scene):
    """TAK-21"""
    secret = secret_of(scene.invite())
    (row,) = scene.rows(Invitation)
    deployment = scene.world.services.keys.deployment
    right = {"deployment": deployment, "organisation_id": scene.shop.id}
    other = TokenSecret("iv", uuid4(), secret.secret)

    assert references.open_with_link(secret, row.reference_box, **right) == REFERENCE
    for key, wrong in (
        (mint("iv", secret.selector), right),
        (other, right),
        (secret, right | {"organisation_id": uuid4()}),
        (secret, right | {"deployment": bytes(16)}),
    ):
        with pytest.raises(DecryptionError):
            references.open_with_link(key, row.reference_box, **wrong)
