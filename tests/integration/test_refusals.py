"""Requests that belong to no vault and were refused: counted, not logged one by one (P-35)."""

from __future__ import annotations

import threading
import time

import pytest
from sqlalchemy import func, select, text

from api import refusals as counting
from api.worker import sweep
from connector.pds.proofs import ASSERTION_TYPE
from consent.log import refusals
from consent.log.refusals import MOST_SOURCES, OTHERS, RefusalKind, source_tag
from consent.models import Event, EventPayload, Refusal
from tests.support.world import PASSPHRASE
from tests.support.worlds import TickingClock, world_on

ADDRESS = "192.0.2.77"
KEY = b"k" * 32
BAD_ASSERTION = {"client_assertion_type": ASSERTION_TYPE, "client_assertion": "a.b.c"}
WRONG = "wrong wrong wrong"


@pytest.fixture
def clock():
    return TickingClock()


@pytest.fixture
def world(store, clock):
    with world_on(store, clock=clock) as world:
        yield world


def rows(world):
    with world.services.uow.read() as session:
        query = select(Refusal.kind, Refusal.source, Refusal.count)
        return sorted(tuple(row) for row in session.execute(query))


def events(world):
    """Return the deployment's events of refusals: kind and count."""
    with world.services.uow.read() as session:
        query = (
            select(EventPayload.pub)
            .join(Event, Event.id == EventPayload.event_id)
            .where(Event.name == "requests.refused")
        )
        return [pub.decode() for pub in session.scalars(query)]


def event_count(world):
    with world.services.uow.read() as session:
        return session.scalar(select(func.count()).select_from(Event))


def send(world, method, path, **request):
    """Send as somebody elsewhere."""
    with world.app.test_client() as client:
        return client.open(path, method=method, environ_base={"REMOTE_ADDR": ADDRESS}, **request)


def sign_in(world, login, passphrase=WRONG):
    """Sign in through the page, with its form token."""
    with world.app.test_client() as client:
        page = client.get("/sign-in").get_data(as_text=True)
        token = page.partition('name="csrf" value="')[2].partition('"')[0]
        return client.post(
            "/sign-in",
            data={"csrf": token, "login": login, "passphrase": passphrase},
            environ_base={"REMOTE_ADDR": ADDRESS},
        )


def test_bad_requests_are_counted_by_kind_and_source_and_written_together_p_35(world):
    before = event_count(world)
    for _ in range(3):
        assert sign_in(world, "nobody").status_code == 422
        assert send(world, "GET", "/v1/grant").status_code == 401
        assert send(world, "POST", "/oauth/par", data=BAD_ASSERTION).status_code == 400
    assert send(world, "GET", "/v1/audit/bundle").status_code == 401
    organisation = world.organisation()
    assert organisation.client.redeem("pds_ac.x", "y" * 43).json()["error"] == "invalid_grant"
    assert (event_count(world), rows(world)) == (before, [])

    assert world.services.refusals.write() == 11

    counted = rows(world)
    assert [(kind, count) for kind, _, count in counted] == [
        ("client", 3),
        ("grant", 1),
        ("sign-in", 3),
        ("token", 4),
    ]
    assert len({source for kind, source, _ in counted if kind != "grant"}) == 1
    assert event_count(world) == before + 4
    assert sum('"count":3' in pub for pub in events(world)) == 2


def test_a_wrong_passphrase_of_someone_is_their_vaults_event_and_no_count_p_35(world):
    world.person("aysel")

    sign_in(world, "aysel")

    assert world.services.refusals.write() == 0


def test_what_succeeds_and_what_is_merely_not_there_is_not_counted(world):
    world.person("aysel")
    assert sign_in(world, "aysel", PASSPHRASE).status_code == 303
    assert send(world, "GET", "/nowhere").status_code == 404
    assert send(world, "GET", "/log/checkpoint").status_code == 404

    assert world.services.refusals.write() == 0


def test_no_address_is_in_the_store(world):
    send(world, "GET", "/v1/grant")
    world.services.refusals.write()

    with world.services.uow.read() as session:
        everything = session.execute(text("SELECT source FROM refusals")).scalars().all()
    (source,) = everything
    assert len(source) == 16
    assert ADDRESS.encode() not in bytes(source)


def test_counts_of_the_same_minute_add_up(world):
    """Two processes, or one that wrote in between."""
    for _ in range(2):
        send(world, "GET", "/v1/grant")
        world.services.refusals.write()

    assert [count for _, _, count in rows(world)] == [2]


def test_sources_beyond_a_number_are_counted_together(world):
    for number in range(MOST_SOURCES + 5):
        address = f"10.0.{number // 256}.{number % 256}"
        world.services.refusals.count(RefusalKind.TOKEN, address)
    world.services.refusals.write()

    found = rows(world)
    assert len(found) == MOST_SOURCES + 1
    assert [count for _, source, count in found if source == OTHERS] == [5]
    assert len(events(world)) == 1


def test_what_could_not_be_written_is_counted_again(world, monkeypatch):
    send(world, "GET", "/v1/grant")
    with monkeypatch.context() as patched:
        patched.setattr(refusals, "record", lambda *_arguments: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            world.services.refusals.write()

    assert world.services.refusals.write() == 1


def test_counts_are_kept_for_thirty_days(world, clock):
    send(world, "GET", "/v1/grant")
    world.services.refusals.write()
    clock.move(days=29)
    sweep(world.services)
    assert len(rows(world)) == 1

    clock.move(days=2)
    sweep(world.services)

    assert rows(world) == []
    assert len(events(world)) == 1


def test_the_operator_sees_them_by_kind(world, clock):
    for _ in range(2):
        send(world, "GET", "/v1/grant")
    world.services.refusals.write()

    with world.services.uow.read() as session:
        (summary,) = refusals.summaries(session, since=clock.now().replace(hour=0))
    assert (summary.kind, summary.count, summary.sources) == ("token", 2, 1)


def test_a_thread_writes_them_and_goes_on_after_a_failure(world, monkeypatch, caplog):
    monkeypatch.setattr(counting, "WRITE_SECONDS", 0.01)
    send(world, "GET", "/v1/grant")
    failing = [True]
    record = refusals.record

    def fail_once(*arguments):
        if failing:
            failing.pop()
            raise OSError("the address is 192.0.2.77")
        record(*arguments)

    monkeypatch.setattr(refusals, "record", fail_once)
    stopping = threading.Event()

    thread = counting.start(world.services.refusals, stopping=stopping)
    deadline = time.monotonic() + 20
    while not rows(world) and time.monotonic() < deadline:
        time.sleep(0.02)
    stopping.set()
    thread.join()

    assert len(rows(world)) == 1
    assert [record.getMessage() for record in caplog.records] == ["refusals: OSError"]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("2001:db8::1", "2001:db8::ffff", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("not an address", None, True),
    ],
)
def test_a_source_is_a_network(one, other, same):
    day = TickingClock().now()

    assert (source_tag(KEY, one, day=day) == source_tag(KEY, other, day=day)) is same


def test_a_source_of_two_days_or_two_instances_is_not_told_to_be_one():
    clock = TickingClock()
    today = source_tag(KEY, ADDRESS, day=clock.now())
    clock.move(days=1)

    assert source_tag(KEY, ADDRESS, day=clock.now()) != today
    assert source_tag(b"l" * 32, ADDRESS, day=TickingClock().now()) != today
