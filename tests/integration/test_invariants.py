"""What must hold of the rows, and that each rule sees exactly what breaks it (CM-13)."""

from __future__ import annotations

import hmac
import json
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from click.testing import CliRunner
from sqlalchemy import delete, insert, select, update
from sqlalchemy.exc import DBAPIError

from api import checking
from api.cli import main
from api.oauth.invariants import ALL_INVARIANTS
from api.oauth.models import Token
from api.worker import Worker
from consent import organisations
from consent.formats import canonical
from consent.formats.leaf import to_minute
from consent.invariants.check import check, slices
from consent.invariants.scope import Scope
from consent.invitations.models import Invitation, OpenedInvitation
from consent.lifecycle import MOVES
from consent.models import (
    Agreement,
    AgreementVersion,
    Connection,
    ConsentEvent,
    DeploymentStream,
    Event,
    EventPayload,
    FeedEntry,
    Grant,
    Lease,
    LogEntry,
    LogPending,
    LogState,
    Obligation,
    Organisation,
    Receipt,
    Request,
)
from consent.narrowing import Reduction
from consent.vocabulary import (
    Actor,
    EventName,
    InvalidationReason,
    Standing,
    TerminationReason,
)
from pds.ids import BUCKETS
from pds.models import KeyWrap, Vault, VaultKey
from pds.settings import SETTINGS_FILE
from tests.support.reading import page
from tests.support.stores import STORES
from tests.support.worlds import START, TickingClock, world_on

EMAIL, PHONE, JOB = "contact.email", "contact.phone", "profile.job_title"
ENDS = {
    act.value for act, move in MOVES.items() if move.agreement and move.agreement.target.is_terminal
}
PRODUCT = {"product_type": "insurance", "name": "Kasko", "provider": "Sığorta"}


@dataclass
class Story:
    """A world in which everything that can happen to a consent has happened, and who is in it."""

    world: object
    vault: UUID
    live: UUID  # agreement: read, paused and resumed
    paused: UUID
    withdrawn: UUID
    terminated: UUID
    refused: UUID  # request


def _ask(world, person, organisation, template):
    uri, _ = world.push(organisation, organisation.details(template))
    return world.open_request(person, organisation, uri)


def _amended(world, clock, person, shop):
    """Amend and renew, in whole and in part; narrow; let another program take the place."""
    template = shop.publish(required=[EMAIL], optional=[PHONE])
    connected = world.connect(person, shop, template)
    world.connect(person, shop, template, optional=[PHONE])
    clock.move(seconds=2)
    world.connect(person, shop, template, optional=[PHONE])
    visitor, narrowing = person.visitor, world.services.narrowing
    seen = narrowing.offer(visitor.vault, connected.agreement_id).before.sha256
    narrowing.narrow(
        visitor.vault, visitor.open_vault, connected.agreement_id, Reduction(seen, frozenset())
    )
    clock.move(seconds=2)
    world.connect(person, shop, template)
    world.connect(person, shop.another_client(), template)


def _invited(world, person, shop):
    """Make invitations and leave them open, opened and used."""
    template = shop.publish(required=[EMAIL])
    shop.invite(template)
    for _ in range(2):
        invited = shop.invite(template)
        world.go_on(person, invited)
    world.connect(person, shop, template, ask={"invitation": invited["id"]})


def _lived_through(world, clock):
    aysel, kamran = world.person("aysel"), world.person("kamran")
    for person in (aysel, kamran):
        person.save("contact", email="a@example.com")
    shop, bank = world.organisation("Shop"), world.organisation("Bank")
    template = shop.publish(required=[EMAIL], optional=[PHONE])
    services, vault = world.services, aysel.visitor.vault
    first = world.connect(aysel, shop, template, optional=[PHONE])
    page(first)
    live = world.connect(aysel, shop, template)  # which amends it
    page(live)
    services.pauses.pause(vault, live.agreement_id)
    services.pauses.resume(vault, live.agreement_id)
    page(live)
    shop.client.refresh(live.refresh_token)
    ends = {
        name: world.connect(aysel, shop, shop.publish(required=[EMAIL]), duration=duration)
        for name, duration in (
            ("withdrawn", "P30D"),
            ("terminated", "P30D"),
            ("void", "P30D"),
            ("expired", "P1D"),
        )
    }
    page(ends["withdrawn"])
    ends["withdrawn"].withdraw()
    services.endings.terminate(
        ends["terminated"].agreement_id,
        organisation_id=shop.id,
        reason=TerminationReason.SERVICE_ENDED,
    )
    services.endings.invalidate(
        ends["void"].agreement_id, actor=Actor.AUTHORITY, reason=InvalidationReason.COURT_ORDER
    )
    writer = world.connect(
        kamran,
        shop,
        shop.publish(
            required=[JOB, *(f"products.{name}" for name in PRODUCT)], actions=["read", "write"]
        ),
        ask={"actions": ["read", "write"]},
    )
    deposited = writer.post("/v1/records/products", {"document_id": "one", "data": PRODUCT})
    assert deposited.status_code < 300, deposited.text
    page(
        world.connect(
            aysel,
            shop,
            shop.publish(required=[EMAIL], access={"mode": "once", "fetches_per_day": 5}),
        )
    )
    paused = world.connect(kamran, shop, template)
    services.pauses.pause(kamran.visitor.vault, paused.agreement_id)
    _amended(world, clock, kamran, shop)
    _invited(world, aysel, shop)
    opened = _ask(world, kamran, bank, bank.publish(required=[EMAIL]))
    world.refuse(kamran, opened)
    world.defer(kamran, _ask(world, kamran, bank, bank.publish(required=[EMAIL])))
    _ask(world, kamran, bank, bank.publish(required=[EMAIL]))
    world.connect(kamran, bank, bank.publish(required=[EMAIL]))
    services.uow.write(lambda s: organisations.set_standing(s, bank.id, Standing.SUSPENDED))
    suspended = EventName.ORGANISATION_SUSPENDED
    services.uow.write(lambda s: services.log.append_deployment(s, suspended, at=clock.now()))
    clock.move(days=2)
    Worker(services).turn()
    for person in (aysel, kamran):
        person.sign_in()  # keys rotate
    shop.client.refresh(live.refresh_token)
    # Its code is spent, and no sweep has come since.
    world.connect(aysel, shop, shop.publish(required=[EMAIL]))
    return Story(
        world,
        aysel.vault_id,
        live.agreement_id,
        paused.agreement_id,
        ends["withdrawn"].agreement_id,
        ends["terminated"].agreement_id,
        opened[1].id,
    )


@pytest.fixture(scope="module", params=STORES)
def story(request, stores):
    """Give a store that every test leaves as it was."""
    with ExitStack() as stack:
        store, clock = stack.enter_context(stores.migrated(request.param)), TickingClock()
        world = stack.enter_context(world_on(store, clock=clock))
        yield _lived_through(world, clock)


class _UndoneError(Exception):
    """What was found, carried out of a transaction that is not to be committed."""


def after(story, breaking):
    """Return what is found after a change of rows, which is taken back."""

    def job(session):
        breaking(session, story)
        session.flush()
        until = checking._swept_until(session)
        found = list(check(Scope(session, 0, BUCKETS - 1, until), ALL_INVARIANTS))
        raise _UndoneError(found)

    with pytest.raises(_UndoneError) as undone:
        story.world.services.uow.write(job)
    return undone.value.args[0]


def one(model, *where):
    """Return the first row of a model that meets conditions, of the session in use."""
    keys = list(model.__table__.primary_key)
    return select(model.__table__).where(*where).order_by(*keys).limit(1)


def change(model, where, **values):
    """Return a change of one row; a value may be a function of the row."""

    def breaking(session, story):
        row = session.execute(one(model, *where(story))).one()
        found = {key: each(row) if callable(each) else each for key, each in values.items()}
        done = session.execute(update(model.__table__).where(*_is(model, row)).values(found))
        assert done.rowcount == 1

    return breaking


def remove(model, where):
    """Return the deletion of one row."""

    def breaking(session, story):
        row = session.execute(one(model, *where(story))).one()
        assert session.execute(delete(model.__table__).where(*_is(model, row))).rowcount == 1

    return breaking


def copy(model, where, **values):
    """Return the insertion of a row like one that is there; a value may be one of the story."""

    def breaking(session, story):
        row = session.execute(one(model, *where(story))).one()._asdict()
        found = {key: each(story) if callable(each) else each for key, each in values.items()}
        session.execute(insert(model.__table__).values(row | found))

    return breaking


def retold(where, *, at=timedelta(), **public):
    """Return an event told anew with its leaf, so that only its meaning is wrong."""

    def breaking(session, story):
        event = session.execute(one(Event, *where(story))).one()
        payload = [EventPayload.bucket == event.bucket, EventPayload.event_id == event.id]
        text, r_pub = session.execute(
            select(EventPayload.pub, EventPayload.r_pub).where(*payload)
        ).one()
        part = canonical.parse(text) | public | {"time": to_minute(event.at + at)}
        text = canonical.canonical_bytes(part)
        session.execute(update(EventPayload).where(*payload).values(pub=text))
        c_pub = hmac.digest(r_pub, text, "sha256")
        values = {"name": part["event"], "at": event.at + at, "c_pub": c_pub}
        session.execute(update(Event.__table__).where(*_is(Event, event)).values(values))

    return breaking


def _is(model, row):
    return [key == row._mapping[key.name] for key in model.__table__.primary_key]


def of(agreement, model=None):
    """Return the condition of rows of an agreement of the story, by name."""
    model = model or Agreement
    column = model.id if model is Agreement else model.agreement_id
    return lambda story: [column == getattr(story, agreement)]


def grant_of(agreement):
    """Return the id of an agreement's grant, as a function of the story."""

    def found(story):
        with story.world.services.uow.read() as session:
            query = select(Grant.id).where(Grant.agreement_id == getattr(story, agreement))
            return session.scalars(query).one()

    return found


def request_of(agreement):
    asked = lambda story: select(Agreement.request_id).where(  # noqa: E731 - a name for it
        Agreement.id == getattr(story, agreement)
    )
    return lambda story: [Request.id.in_(asked(story))]


def logged(agreement, name):
    """Return the condition of the events of one name in the stream of an agreement's grant."""
    return lambda story: [Event.grant_id == grant_of(agreement)(story), Event.name == name]


def held_by_grant(agreement):
    return lambda story: [KeyWrap.by_kind == "grant", KeyWrap.by_id == grant_of(agreement)(story)]


def grant_key_of(agreement, by_kind):
    return lambda story: [
        KeyWrap.by_kind == by_kind,
        KeyWrap.wrapped_kind == "grant",
        KeyWrap.wrapped_id == str(grant_of(agreement)(story)),
    ]


def token_of(agreement, kind):
    return lambda story: [Token.grant_id == grant_of(agreement)(story), Token.kind == kind]


def refresh_token_of(agreement):
    def found(story):
        with story.world.services.uow.read() as session:
            query = select(Token.selector).where(*token_of(agreement, "rt")(story))
            return session.scalars(query).first()

    return found


def of_connection(story):
    return [Connection.agreement_id == story.live]


def is_opened(_story):
    return [Invitation.state == "opened"]


def anything(_story):
    return []


def other(_):
    return uuid4()


def other_text(_):
    return str(uuid4())


def _waits_again(session, story):
    event = session.execute(one(Event, *logged("live", "data.read")(story))).one()
    values = {"bucket": event.bucket, "event_id": event.id, "commitment": bytes(32)}
    session.execute(insert(LogPending.__table__).values(values))


def _never_placed(session, story):
    event = session.execute(one(Event, *logged("live", "data.read")(story))).one()
    last = session.execute(select(LogEntry.index).order_by(LogEntry.index.desc()).limit(1)).scalar()
    index = session.execute(
        select(LogEntry.index).where(LogEntry.event_id == event.id)
    ).scalar_one()
    session.execute(delete(LogEntry).where(LogEntry.index == index))
    if index != last:
        session.execute(update(LogEntry).where(LogEntry.index == last).values(index=index))
    session.execute(update(LogState).values(size=LogState.size - 1))


DAY = timedelta(days=1)
BREAKS = [
    ("agreement-connection", change(Connection, of_connection, template_id=other)),
    ("connection-latest", change(Connection, of_connection, agreement_id=other)),
    ("agreement-versions", remove(AgreementVersion, of("terminated", AgreementVersion))),
    (
        "agreement-text",
        change(AgreementVersion, of("terminated", AgreementVersion), sha256="0" * 64),
    ),
    (
        "agreement-text",
        change(
            AgreementVersion,
            of("live", AgreementVersion),
            signature=lambda row: row.signature[:-3] + "AAA",
        ),
    ),
    (
        "agreement-text",
        change(
            VaultKey,
            lambda story: [VaultKey.purpose == "agreement", VaultKey.vault_id == story.vault],
            public_key=bytes(32),
        ),
    ),
    ("agreement-end", change(Agreement, of("live"), ended_by="individual")),
    ("agreement-end", change(Agreement, of("withdrawn"), ended_at=None)),
    ("agreement-history", change(ConsentEvent, of("live", ConsentEvent), actor="clock")),
    (
        "agreement-history",
        change(ConsentEvent, of("live", ConsentEvent), status="dpv:ConsentRefused"),
    ),
    ("agreement-history", change(Agreement, of("withdrawn"), state="terminated")),
    ("agreement-history", change(Agreement, of("withdrawn"), ended_by="clock")),
    ("consent-logged", copy(ConsentEvent, of("live", ConsentEvent), agreement_id=other)),
    ("consent-known", retold(logged("withdrawn", "erasure.requested"), event="consent.resumed")),
    ("consent-receipt", remove(Receipt, of("paused", Receipt))),
    ("grant-state", change(Grant, of("withdrawn", Grant), state="active")),
    ("grant-state", change(Grant, of("live", Grant), state="paused")),
    ("grant-state", change(Grant, of("paused", Grant), state="active")),
    ("grant-one", copy(Grant, of("live", Grant), id=other, seq=0)),
    ("grant-agreement", change(Grant, of("live", Grant), organisation_id=other)),
    ("grant-agreement", change(Grant, of("withdrawn", Grant), agreement_version=2)),
    ("grant-expiry", change(Grant, of("live", Grant), expires_at=lambda row: row.expires_at + DAY)),
    (
        "grant-ask",
        change(Request, request_of("live"), asked=lambda row: row.asked | {"attributes": []}),
    ),
    (
        "grant-ask",
        change(Request, request_of("live"), asked=lambda row: row.asked | {"duration": "P1D"}),
    ),
    ("key-holder", copy(KeyWrap, held_by_grant("live"), by_id=other)),
    ("key-holder", copy(KeyWrap, held_by_grant("live"), by_id=grant_of("withdrawn"))),
    ("key-agreed", change(KeyWrap, held_by_grant("live"), wrapped_id="identity")),
    ("key-agreed", change(KeyWrap, held_by_grant("live"), wrapped_kind="inbound")),
    ("key-grant", copy(KeyWrap, grant_key_of("live", "vrk"), wrapped_id=other_text)),
    ("key-unlock", copy(KeyWrap, lambda _story: [KeyWrap.by_kind == "unlock"], by_id=other)),
    ("key-unlock", change(KeyWrap, lambda _story: [KeyWrap.by_kind == "unlock"], wrapped_kind="x")),
    ("key-passkey", copy(KeyWrap, lambda _story: [KeyWrap.by_kind == "unlock"], by_kind="passkey")),
    (
        "request-receipt",
        remove(Receipt, lambda story: [Receipt.request_id == story.refused]),
    ),
    (
        "request-settled",
        change(Request, lambda story: [Request.id == story.refused], cools_until=None),
    ),
    (
        "request-settled",
        change(Request, lambda story: [Request.id == story.refused], decided_at=None),
    ),
    ("request-agreement", change(Request, request_of("live"), state="seen", decided_at=None)),
    (
        "request-agreement",
        change(
            Request, lambda story: [Request.id == story.refused], state="approved", cools_until=None
        ),
    ),
    ("obligation-owed", remove(Obligation, of("withdrawn", Obligation))),
    (
        "obligation-owed",
        copy(
            Obligation, of("withdrawn", Obligation), id=other, agreement_id=lambda story: story.live
        ),
    ),
    ("obligation-answer", change(Obligation, of("withdrawn", Obligation), state="confirmed")),
    ("stream-gap", remove(Event, logged("live", "token.issued"))),
    ("stream-counter", change(Grant, of("live", Grant), seq=lambda row: row.seq + 1)),
    (
        "stream-counter",
        change(
            Vault, lambda story: [Vault.id == story.vault], event_seq=lambda row: row.event_seq - 1
        ),
    ),
    ("stream-counter", change(DeploymentStream, anything, seq=lambda row: row.seq + 1)),
    ("event-leaf", change(Event, logged("live", "token.issued"), name="token.refreshed")),
    ("event-leaf", change(Event, logged("live", "token.issued"), c_pub=bytes(32))),
    ("event-place", _waits_again),
    ("event-place", _never_placed),
    ("access-consent", retold(logged("withdrawn", "erasure.requested"), event="data.read")),
    ("access-consent", retold(logged("withdrawn", "erasure.requested"), event="data.deposited")),
    ("access-consent", retold(logged("live", "data.read"), at=-DAY)),
    ("access-consent", retold(logged("live", "data.read"), at=400 * DAY)),
    ("access-consent", retold(logged("live", "data.read"), collections=["identity"])),
    ("access-consent", retold(logged("live", "data.read"), client=str(uuid4()))),
    ("log-size", change(LogState, anything, size=lambda row: row.size + 1)),
    ("invitation-holder", remove(OpenedInvitation, anything)),
    ("invitation-holder", change(OpenedInvitation, anything, invitation_id=other)),
    ("invitation-holder", change(Invitation, is_opened, state="used", closed_at=START)),
    ("feed-gap", remove(FeedEntry, anything)),
    ("feed-gap", change(Organisation, anything, feed_number=lambda row: row.feed_number + 1)),
    ("token-grant", change(Token, token_of("live", "rt"), client_id=other)),
    (
        "token-ended",
        copy(
            KeyWrap,
            grant_key_of("live", "token"),
            by_id=refresh_token_of("withdrawn"),
            wrapped_id=lambda story: str(grant_of("withdrawn")(story)),
        ),
    ),
    ("token-key", copy(KeyWrap, grant_key_of("live", "token"), by_id=other)),
    ("token-key", change(Token, token_of("live", "rt"), consumed_at=TickingClock().instant)),
    (
        "token-key",
        change(KeyWrap, grant_key_of("live", "token"), expires_at=TickingClock().instant - DAY),
    ),
]


def test_a_store_in_which_everything_happened_breaks_no_rule(story):
    """CM-13, CM-9: what the product writes is in order, whatever was done with it."""
    with story.world.services.uow.read() as session:
        acts = set(session.scalars(select(ConsentEvent.act)))
        leased = session.scalars(select(Lease)).all()

    assert acts >= {*ENDS, "allow", "allow_part", "pause", "resume"}
    assert len(leased) == 1
    assert [each.text() for each in checking.violations(story.world.services.uow)] == []


@pytest.mark.parametrize(
    ("rule", "breaking"), BREAKS, ids=[f"{rule}-{i}" for i, (rule, _) in enumerate(BREAKS)]
)
def test_a_rule_sees_the_row_that_breaks_it_and_no_other_does(story, rule, breaking):
    """CM-13: with a counter-example that names the rows."""
    found = after(story, breaking)

    assert {each.rule for each in found} == {rule}, [each.text() for each in found]
    assert rule == "log-size" or all(each.ids for each in found)


def test_each_rule_is_broken_by_a_test():
    assert {rule for rule, _ in BREAKS} == {each.rule for each in ALL_INVARIANTS}


@pytest.fixture
def folder(story):
    """Give the instance's folder as the command finds it."""
    settings = story.world.store.settings
    database = f"[database]\nurl = {json.dumps(settings.database.url)}\n"
    text = f"[server]\ninsecure_loopback = true\n{database}"
    (settings.instance / SETTINGS_FILE).write_text(text, "utf-8")
    return settings.instance


def run(folder, *options, code):
    result = CliRunner().invoke(main, ["consent", "check", "--instance", str(folder), *options])
    assert result.exit_code == code, (result.output, result.exception)
    return result.stdout


def test_the_command_finds_nothing_in_a_store_that_is_in_order(folder):
    assert run(folder, code=0) == f"{len(ALL_INVARIANTS)} rules, 0 violations.\n"
    found = json.loads(run(folder, "--json", code=0))
    assert (found["ok"], found["violations"], len(found["rules"])) == (
        True,
        [],
        len(ALL_INVARIANTS),
    )


def test_the_command_names_the_rows_of_what_is_wrong_and_fails(folder, story):
    """CM-13: the exit status, the rule and the ids; never a name, an address or a value."""
    moved = update(Grant).where(Grant.agreement_id == story.paused)
    uow = story.world.services.uow
    uow.write(lambda session: session.execute(moved.values(state="active")))

    try:
        told, found = run(folder, code=1), json.loads(run(folder, "--json", code=1))
    finally:
        uow.write(lambda session: session.execute(moved.values(state="paused")))

    grant_id = str(grant_of("paused")(story))
    (violation,) = found["violations"]
    assert not found["ok"]
    assert violation["rule"] == "grant-state"
    assert violation["ids"] == {"grant": grant_id, "agreement": str(story.paused)}
    assert (
        f"VIOLATED grant-state: it is active under an agreement that is suspended (grant {grant_id}"
        in told
    )


def _leave_broken(stores):
    with stores.migrated("sqlite") as store, world_on(store) as world:
        shop = world.organisation()
        world.connect(world.person(), shop, shop.publish(required=[EMAIL]))
        world.services.uow.write(lambda session: session.execute(delete(Grant)))


def test_a_journey_that_leaves_its_store_broken_fails(stores, monkeypatch):
    monkeypatch.setattr(stores, "are_held_to_the_rules", True)

    with pytest.raises(AssertionError) as failed:
        _leave_broken(stores)

    assert "grant-one: it has 0 grants (agreement " in str(failed.value)


def test_buckets_are_cut_into_slices_that_leave_none_out():
    assert list(slices([])) == [(0, BUCKETS - 1)]
    assert list(slices([(3, 2), (5, 2), (9, 7), (10, 1)], at_once=4)) == [
        (0, 8),
        (9, 9),
        (10, BUCKETS - 1),
    ]


def test_a_check_writes_nothing(story):
    """The transaction itself refuses to, where the store can tell."""
    session_of = story.world.services.uow.read
    with session_of() as session:
        checking._hold_one_snapshot(session)
        if session.get_bind().dialect.name == "postgresql":
            with pytest.raises(DBAPIError):
                session.execute(update(Grant).values(seq=1))
