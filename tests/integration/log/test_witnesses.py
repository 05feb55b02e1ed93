"""The server and its witnesses over HTTP: cosigned, published, halted (LOG-5, LOG-21, LOG-22)."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import timedelta

import pytest
from flask import Flask

from api.doctor import examine
from api.resources import health
from api.wiring import wire
from api.witnesses import guard
from api.witnesses.asking import WitnessUnavailableError
from api.witnesses.guard import FILE, HighWater
from api.witnesses.rounds import Correspondence
from api.worker import Worker
from consent.errors import LogHaltedError, LogStalledError
from consent.formats import merkle
from consent.formats.checkpoint import Checkpoint, open_checkpoint, sign_checkpoint
from consent.formats.cosignature import CosignatureVerifier, Cosigner
from consent.formats.note import Signer
from consent.formats.witnessing import AddCheckpoint
from consent.log import publication, reader
from consent.log.entries import EntryRef, grant_stream
from pds import instance
from pds.errors import ConfigurationError, NotFoundError
from tests.support.events import SteppingClock, add_grant, add_person, log_many
from tests.support.stores import STORES, settings_for
from tests.support.witnesses import witnessing

POLICY_FILE = "witnesses.policy"


class Deployment:
    """A server process whose worker is moved by hand, and its witnesses `a`, `b`, …"""

    def __init__(self, store, witnesses, quorum):
        self.store, self.witnesses = store, witnesses
        lines = [f"witness {name} {one.vkey} {one.url}" for name, one in witnesses.items()]
        names = " ".join(witnesses)
        policy = "\n".join(
            [*lines, f"group all-of-them {quorum} {names}", "quorum all-of-them", ""]
        )
        (store.settings.instance / POLICY_FILE).write_text(policy)
        log = replace(store.settings.log, witnesses=POLICY_FILE, refuse_seconds=600)
        self.settings = replace(store.settings, log=log)
        self.clock = SteppingClock()
        self.services = wire(self.settings, clock=self.clock)
        self.worker = Worker(self.services)
        self.shared = add_grant(store.uow, add_person(store.uow))
        for one in witnesses.values():
            one.state.add_log(self.key.to_text())

    @property
    def key(self):
        return self.services.log_signer.verifier

    def grow(self, count=3):
        """Log so many entries and have them placed; nothing is asked of anybody."""
        log_many(self.store.uow, self.shared, self.services.log, count)
        for task in self.worker._tasks:
            task.due_at = 0.0
        self.worker.turn()

    def ask(self, *names):
        for name in names:
            number = list(self.witnesses).index(name)
            self.worker.rounds.correspondences[number].ask(self.worker.rounds._under_lease)

    def published(self):
        """Return the published checkpoint, and which witnesses have cosigned it."""
        with self.store.uow.read() as session:
            note = reader.checkpoint(session)
        keys = {
            name: CosignatureVerifier.from_text(one.vkey) for name, one in self.witnesses.items()
        }
        opened = open_checkpoint(note, log_keys=[self.key], witnesses=list(keys.values()))
        signed = {each.key_id for each in opened.note.signatures}
        return opened.checkpoint.size, {name for name, key in keys.items() if key.key_id in signed}

    def newest(self):
        with self.store.uow.read() as session:
            return reader.newest_tree(session).checkpoint

    def sign(self, size, root=bytes(32)):
        """Return a checkpoint that the log's own key has signed, of whatever tree."""
        checkpoint = Checkpoint(self.settings.log_origin, size, root)
        return sign_checkpoint(checkpoint, [self.services.log_signer])

    def shown_to(self, name, size):
        """Have a witness cosign a later or another tree of this log, which we forgot."""
        state = self.witnesses[name].state
        request = AddCheckpoint(0, (), self.sign(size))
        opened = open_checkpoint(request.checkpoint, log_keys=[self.key])
        assert isinstance(state.cosign(request, opened), str)

    def ready(self):
        """Return the answer of /readyz."""
        app = Flask("readiness")
        app.extensions["pds"] = self.services
        app.register_blueprint(health.blueprint)
        return app.test_client().get("/readyz")

    def stop(self):
        self.worker.stop()
        self.services.uow.close()


on_both_stores = pytest.mark.parametrize("kind", STORES, indirect=True)


@pytest.fixture
def kind(request):
    """Give the kind of store; SQLite, unless a test runs on both."""
    return getattr(request, "param", "sqlite")


@pytest.fixture
def deploy(stores, kind, tmp_path):
    """Return what makes a deployment with two witnesses, of which so many must cosign."""
    running = []

    def make(quorum):
        running.append(Deployment(store, witnesses, quorum))
        return running[-1]

    with (
        stores.migrated(kind) as store,
        witnessing(tmp_path / "a", "a.example/w") as first,
        witnessing(tmp_path / "b", "b.example/w") as second,
    ):
        witnesses = {"a": first, "b": second}
        yield make
        for each in running:
            each.stop()


@on_both_stores
def test_a_checkpoint_is_published_once_enough_witnesses_have_cosigned_it(deploy):
    """Until then, everybody is shown the one before, and proofs lead to that."""
    log = deploy(2)
    log.grow()
    with pytest.raises(NotFoundError):
        log.published()
    log.ask("a")
    with pytest.raises(NotFoundError):
        log.published()

    log.ask("b")
    first = log.published()
    log.grow()
    log.ask("a")
    with log.store.uow.read() as session:
        unpublished = EntryRef(grant_stream(log.shared.grant_id), 6)
        proof = reader.prove(session, log.shared.bucket, unpublished)
    held_back = log.published()
    log.ask("b")

    assert first == held_back == (3, {"a", "b"})
    assert proof is None
    assert log.published() == (6, {"a", "b"})


@on_both_stores
def test_while_the_log_grows_all_witnesses_are_asked_for_the_same_tree(deploy):
    """Otherwise each has cosigned another one, and none has enough."""
    log = deploy("all")
    sizes = []
    for _ in range(3):
        log.grow()
        log.ask("a")
        log.grow()
        log.ask("b")
        sizes.append(log.published()[0])

    assert sizes == [3, 9, 15]


def test_one_witness_of_two_is_enough_where_the_policy_says_so(deploy):
    log = deploy("any")
    log.witnesses["b"].down = True
    log.grow()

    log.ask("a")
    with pytest.raises(WitnessUnavailableError, match="503"):
        log.ask("b")
    one = log.published()
    log.witnesses["b"].down = False
    log.ask("b")

    assert one == (3, {"a"})
    assert log.published() == (3, {"a", "b"})


def test_a_process_that_was_started_anew_learns_from_the_conflict_where_a_witness_is(deploy):
    log = deploy("any")
    log.grow()
    log.ask("a")
    log.grow()
    fresh = Correspondence(log.services, log.services.witnesses[0])

    assert fresh.ask(log.worker.rounds._under_lease)

    assert log.published() == (6, {"a"})
    assert not fresh.ask(log.worker.rounds._under_lease)  # nothing more to ask


def test_a_witness_that_does_not_watch_the_log_or_its_key_is_named(deploy):
    log = deploy("any")
    log.grow()
    state = log.witnesses["a"].state
    with state._transaction() as connection:
        connection.execute("DELETE FROM logs")
    with pytest.raises(WitnessUnavailableError, match="does not watch our log"):
        log.ask("a")


@on_both_stores
def test_a_restored_database_halts_as_soon_as_a_witness_is_heard(deploy):
    """LOG-22: no writes, no consents, and no start, with the reason and what to do; reads go on."""
    log = deploy("any")
    log.grow()
    log.shown_to("a", 10)

    with pytest.raises(LogHaltedError, match="size 10"):
        log.ask("a")

    for write in (log.services.uow.write, log.services.uow.write_rows):
        with pytest.raises(LogHaltedError):
            write(lambda _: pytest.fail("it ran"))
    with log.services.uow.read() as session:
        assert "older state was restored" in publication.halted(session)
    assert log.ready().status_code == 503
    again = wire(log.settings, clock=log.clock)
    with pytest.raises(ConfigurationError, match="pds log restore-epoch"):
        guard.require_newest(again)
    again.uow.close()


def test_a_fork_that_a_witness_holds_halts_too(deploy):
    log = deploy("any")
    log.shown_to("a", 3)
    log.grow()

    with pytest.raises(LogHaltedError, match="forked"):
        log.ask("a")


def test_a_restored_database_is_found_before_anything_is_served(deploy):
    log = deploy("any")
    log.grow()
    guard.require_newest(log.services)
    log.shown_to("b", 9)
    log.witnesses["a"].down = True

    with pytest.raises(ConfigurationError, match=r"b\.example/w knows that"):
        guard.require_newest(log.services)

    with log.store.uow.read() as session:
        assert publication.halted(session)


def test_a_witness_alone_cannot_halt_a_log(deploy):
    """It may claim any size; only our own signature on a tree of that size counts."""
    log = deploy("any")
    log.grow()
    state = log.witnesses["a"].state
    with state._transaction() as connection:
        row = (log.settings.log_origin, 99, bytes(32), log.sign(99).replace("— ", "— x"), 1)
        connection.execute("INSERT INTO latest VALUES (?, ?, ?, ?, ?)", row)

    with pytest.raises(WitnessUnavailableError, match="shows no other"):
        log.ask("a")

    guard.require_newest(log.services)
    log.ask("b")
    assert log.published() == (3, {"b"})


@pytest.fixture
def sqlite(stores):
    """Give a store without witnesses."""
    with stores.migrated("sqlite") as store:
        yield store


def test_without_witnesses_a_file_beside_the_keys_remembers(sqlite):
    """LOG-22: the database's backup does not hold it, so an older database is found by it."""
    store = sqlite
    services = wire(store.settings, clock=SteppingClock())
    shared = add_grant(store.uow, add_person(store.uow))
    worker = Worker(services)
    log_many(store.uow, shared, services.log, 3)
    worker.turn()
    file = HighWater(store.settings.instance)
    with store.uow.read() as session:
        assert file.read() == reader.checkpoint(session)
        tree = reader.newest_tree(session).checkpoint
    guard.require_newest(services)
    signer = services.log_signer

    for size, root, says in [
        (4, bytes(32), "older state was restored"),
        (3, bytes(32), "forked"),
        (2, merkle.EMPTY_ROOT, "forked"),
    ]:
        checkpoint = Checkpoint(tree.origin, size, root)
        (store.settings.instance / FILE).write_text(sign_checkpoint(checkpoint, [signer]))
        with pytest.raises(ConfigurationError, match=says):
            guard.require_newest(services)
        services.uow.write(lambda session: publication.halt(session, tree.origin, None))
    worker.stop()
    services.uow.close()


def test_a_log_of_another_origin_is_not_served(sqlite):
    store = sqlite
    services = wire(store.settings, clock=SteppingClock())
    worker = Worker(services)
    worker.turn()
    worker.stop()
    later = replace(store.settings, log=replace(store.settings.log, epoch=2))

    with pytest.raises(ConfigurationError, match=r"log\.epoch"):
        guard.require_newest(another := wire(later))

    another.uow.close()
    services.uow.close()


def test_a_halt_reaches_every_process_and_no_command_writes(deploy):
    log = deploy("any")
    log.grow()
    log.store.uow.write(lambda session: publication.halt(session, log.key.name, "so"))
    with log.store.uow.read() as session, pytest.raises(LogHaltedError):
        publication.require_going(session)

    log.services.uow.halt("so")
    with pytest.raises(LogHaltedError):
        log.services.uow.write(lambda _: None)
    log.services.uow.halt(None)
    log.services.uow.write(lambda _: None)


@on_both_stores
def test_a_log_that_stands_still_is_an_alarm_and_then_takes_no_consent(deploy):
    """LOG-21: more than a minute is an alarm, more than ten take no new consent; reads go on."""
    log = deploy(2)
    log.grow()
    log.ask("a")

    def says():
        with log.store.uow.read() as session:
            waits = publication.behind_for(session, now=log.clock.now())
            try:
                publication.require_fresh(
                    session, now=log.clock.now(), within=timedelta(minutes=10)
                )
            except LogStalledError:
                return waits, "refused"
        return waits, log.ready().get_json().get("log")

    at_once = says()
    log.clock.move(seconds=61)
    alarm = says()
    log.clock.move(minutes=10)
    refused = says()
    log.ask("b")

    assert at_once == (timedelta(), None)
    assert "pds doctor" in alarm[1]
    assert refused[1] == "refused"
    assert log.ready().status_code == 200
    assert says() == (timedelta(), None)


def test_an_integrator_that_stands_still_counts_from_the_oldest_entry(store, clock):
    services = wire(store.settings, clock=clock)
    shared = add_grant(store.uow, add_person(store.uow))
    log_many(store.uow, shared, services.log, 1)

    with store.uow.read() as session:
        waits = publication.behind_for(session, now=clock.now() + timedelta(minutes=5))

    assert waits >= timedelta(minutes=5)
    services.uow.close()


def test_the_doctor_tells_of_each_witness(deploy, monkeypatch):
    log = deploy("any")
    log.grow()
    log.ask("a")
    log.witnesses["b"].down = True
    monkeypatch.setattr("api.doctor.wire", lambda _: log.services)
    monkeypatch.setattr("api.doctor.settings_module.load", lambda _: log.settings)

    found = {each.what: each for each in examine(log.settings.instance)}

    assert found["witness a.example/w"].state == "ok"
    assert found["witness b.example/w"].state == "wrong"
    assert found["published log"].state == "ok"


@pytest.mark.parametrize(
    ("policy", "says"),
    [
        (None, "cannot be read"),
        ("quorum none\n", "names no witness"),
        ("quorum x\n", "line 1"),
        ("witness a {key} http://witness.example\nquorum a\n", "https only"),
        ("witness a {key}\nquorum a\n", "scheme, host"),
        ("log {other}\nwitness a {key} https://w.example\nquorum a\n", "its logs are others"),
    ],
    ids=["missing", "no-witness", "malformed", "plain-http", "no-url", "another-log"],
)
def test_a_policy_that_cannot_be_kept_stops_the_start(tmp_path, policy, says):
    if policy is not None:
        key = Cosigner.generate("w", now=lambda: 1).verifier.to_text()
        other = Signer.generate("other").verifier.to_text()
        (tmp_path / POLICY_FILE).write_text(policy.format(key=key, other=other))
    settings = settings_for(tmp_path)
    instance.create(tmp_path)
    log = replace(settings.log, witnesses=POLICY_FILE)
    with pytest.raises(ConfigurationError, match=says):
        wire(replace(settings, log=log))


def test_the_threads_ask_by_themselves(deploy, caplog):
    """The whole of it, running: entries come, and the published tree follows."""
    log = deploy("all")
    caplog.set_level(logging.ERROR)
    log.settings = replace(log.settings, log=replace(log.settings.log, interval_ms=20))
    log.worker.rounds._pause_seconds = 0.02
    log.grow()
    log.worker.rounds.start()
    for _ in range(500):
        try:
            if log.published()[0] == 3:
                break
        except NotFoundError:
            pass
        log.worker.rounds._stopping.wait(0.02)
    else:
        pytest.fail("it was never published")
    log.worker.rounds.stop()

    assert log.published() == (3, {"a", "b"})
    assert caplog.records == []
