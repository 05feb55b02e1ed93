"""After a restore: the log goes on in a new epoch, and everybody can see from where (LOG-22)."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import func, select

from api import cli
from api.checking import violations
from api.wiring import wire
from api.witnesses import guard
from api.witnesses.guard import HighWater
from api.worker import Worker
from consent.auditing import samples
from consent.auditing.engagements import Scope, Seat
from consent.auditing.models import AlertReview, SearchableEvent
from consent.auditing.pseudonyms import Pseudonyms
from consent.auditing.search import Query
from consent.formats.checkpoint import Checkpoint, open_checkpoint, sign_checkpoint
from consent.formats.epochs import verify_continuation
from consent.formats.note import Signer
from consent.formats.trust import Trust
from consent.formats.verify import verify_bundle
from consent.log import epochs, evidence, reader
from consent.log.entries import EntryRef, grant_stream
from consent.verifier.log_tree import verify_log
from pds import instance
from pds.errors import ConfigurationError, NotFoundError
from pds.ids import random_uuid
from tests.support.events import SteppingClock, add_grant, add_person, log_many
from tests.support.serving import write_settings
from tests.support.stores import STORES

ENTRIES = 300  # more than a bundle


class Restored:
    """An instance whose database is older than a checkpoint that somebody holds."""

    def __init__(self, store):
        self.store = store
        self.shared = add_grant(store.uow, add_person(store.uow))
        with self.process(1) as old:
            log_many(store.uow, self.shared, old.log, ENTRIES)
            run(old)
            self.seat = whole_log_seat(old.clock.now())
            self.sample = store.uow.write(
                lambda session: samples.draw(
                    session, self.seat, Query(), asked={}, size=5, now=old.clock.now()
                )
            )
            self.drawn = self.items()
            store.uow.write(
                lambda session: session.add_all(
                    AlertReview(
                        engagement_id=self.seat.scope.engagement_id,
                        key=key,
                        state="explained",
                        note="",
                        auditor_id=self.seat.auditor_id,
                        reviewed_at=old.clock.now(),
                    )
                    for key in ("complaint:17", "bulk-unmasking:2026-03-01")
                )
            )
        self.last = self.sign(1, ENTRIES + 50)
        write_settings(store.settings)

    def items(self):
        with self.store.uow.read() as session:
            return samples.get(session, self.seat.scope, self.sample)

    def settings(self, epoch):
        return replace(self.store.settings, log=replace(self.store.settings.log, epoch=epoch))

    @contextmanager
    def process(self, epoch):
        services = wire(self.settings(epoch), clock=SteppingClock())
        yield services
        services.uow.close()

    def signer(self, epoch):
        seed = instance.load(self.store.settings.instance).log_seed
        key = Ed25519PrivateKey.from_private_bytes(seed)
        return Signer(self.settings(epoch).log_origin, key)

    def sign(self, epoch, size):
        signer = self.signer(epoch)
        return sign_checkpoint(Checkpoint(signer.name, size, bytes(range(32))), [signer])

    def key(self, epoch):
        return self.signer(epoch).verifier

    def restore_epoch(self, *more, epoch=2):
        folder = str(self.store.settings.instance)
        environment = {"PDS_LOG__EPOCH": str(epoch)}
        words = ["log", "restore-epoch", "--instance", folder, *map(str, more)]
        return CliRunner().invoke(cli.main, words, env=environment, input="y\n")


def whole_log_seat(now):
    year = timedelta(days=365)
    names = Pseudonyms.of_engagement(bytes(32), random_uuid())
    scope = Scope(random_uuid(), None, now - year, now + year, now + year, names)
    return Seat(random_uuid(), "Nigar", scope)


@pytest.fixture(scope="module", params=STORES)
def begun(stores, request):
    """A restored instance in its second epoch, its entries placed anew; only read."""
    with stores.migrated(request.param) as store:
        restored = Restored(store)
        (store.settings.instance / "last").write_text(restored.last)
        done = restored.restore_epoch("--checkpoint", store.settings.instance / "last")
        assert done.exit_code == 0, done.output
        assert f"from size {ENTRIES + 50}" in done.output
        with restored.process(2) as services:
            run(services)
        yield restored


def run(services):
    worker = Worker(services)
    worker.turn()
    worker.stop()


class Published:
    """The log as others read it: `checkpoint` and tiles."""

    parallel = 1

    def __init__(self, session):
        self.session = session

    def read(self, path):
        if path == "checkpoint":
            return reader.checkpoint(self.session).encode()
        return reader.tile(self.session, path)


def test_the_first_entry_commits_to_the_last_checkpoint_that_anybody_holds(begun):
    keys = [begun.key(1), begun.key(2)]
    with begun.store.uow.read() as session:
        proof = epochs.continuation(session)

    last, new = verify_continuation(proof, log_keys=keys)

    assert (last.checkpoint.size, last.note.text) == (
        ENTRIES + 50,
        begun.last.partition("\n\n")[0] + "\n",
    )
    assert new.checkpoint.origin == last.checkpoint.origin + "/2"


def test_every_entry_that_was_restored_is_proved_in_the_new_tree(begun):
    """The old proofs led to a tree that is given up; new ones are had for the same entries."""
    reference = EntryRef(grant_stream(begun.shared.grant_id), ENTRIES)
    with begun.store.uow.read() as session:
        proof = reader.prove(session, begun.shared.bucket, reference)
        event = reader.find(session, begun.shared.bucket, reference)
        size = reader.signed_tree(session).checkpoint.size

    proof.verify(event.opening.entry(), log_keys=[begun.key(2)])
    # What begins the epoch, the event that tells of it, and the settings and key of its server.
    assert size == ENTRIES + 4
    broken = {each.rule for each in violations(begun.store.uow)}
    assert not broken & {"log-size", "event-place"}
    with begun.store.uow.read() as session:
        searchable = select(func.count(), func.max(SearchableEvent.index))
        assert session.execute(searchable).one() == (size - 1, size - 1)  # all but the first entry


def test_a_sample_stays_one_of_the_log_that_it_was_drawn_from(begun):
    """AUD-15: it says which, is drawn again from its places, and its events are still found."""
    (before, drawn), (sample, items) = begun.drawn, begun.items()

    assert sample.origin == before.origin == begun.key(1).name
    again = samples.lowest(sample.seed, range(sample.last_index + 1), len(items))
    assert sample.population == sample.last_index + 1
    assert [each.index for each in items] == [each.index for each in drawn] == again
    assert [each.event.reference for each in items] == [each.event.reference for each in drawn]
    assert all(each.event.index != each.index for each in items)


def test_no_alert_is_explained_by_what_was_said_of_another_place(begun):
    """AUD-14: at the same place stands another entry now; what is not of places stays."""
    with begun.store.uow.read() as session:
        keys = set(session.scalars(select(AlertReview.key)))

    assert keys == {f"complaint:17@{begun.drawn[0].last_index + 1}", "bulk-unmasking:2026-03-01"}


def test_whoever_pinned_the_last_checkpoint_can_follow_and_nobody_else(begun):
    keys = (begun.key(1), begun.key(2))
    reports = {}
    with begun.store.uow.read() as session:
        for name, pin in {
            "last": begun.last,
            "other": begun.sign(1, ENTRIES + 51),
            "foreign": begun.sign(3, 5),
        }.items():
            trust = Trust((*keys, begun.key(3)), pinned=pin)
            reports[name] = verify_log(
                Published(session), trust, kept=None, progress=_nothing, keep=_nothing
            )

    assert {name: report.verdict.value for name, report in reports.items()} == {
        "last": "VERIFIED",
        "other": "FAILED",
        "foreign": "FAILED",
    }
    assert {failure.rule for failure in reports["other"].failures} == {"pinned-checkpoint"}


def test_the_deployments_evidence_holds_the_new_epoch(begun):
    with begun.store.uow.read() as session:
        bundle = evidence.build_bundle(session, [evidence.DEPLOYMENT])

    report = verify_bundle(bundle.to_bytes(), Trust((begun.key(2),)))

    assert report.verdict.value == "VERIFIED"
    told = {entry.event.pub.event: entry.event.pub for entry in bundle.entries}
    assert told.keys() == {
        "deployment.settings_changed",
        "deployment.key_changed",
        "log.epoch_begun",
    }
    assert told["log.epoch_begun"].count == ENTRIES + 50


def test_the_new_epoch_may_go_on_and_the_old_one_may_not(begun):
    with begun.process(2) as services:
        guard.require_newest(services)
    note = HighWater(begun.store.settings.instance).read()
    assert open_checkpoint(note, log_keys=[begun.key(2)]).checkpoint.origin.endswith("/2")
    with (
        begun.process(1) as services,
        pytest.raises(ConfigurationError, match=r"log\.epoch"),
    ):
        guard.require_newest(services)
    again = begun.restore_epoch()
    assert again.exit_code == 2


def _nothing(*_):
    pass


@pytest.fixture(scope="module")
def restored(stores):
    with stores.migrated("sqlite") as store:
        yield Restored(store)


def test_an_epoch_begins_only_where_it_was_set_and_from_what_our_key_signed(restored):
    folder = restored.store.settings.instance
    (folder / "foreign").write_text(restored.last.replace("— ", "— x"))
    (folder / "rival").write_text(restored.sign(1, ENTRIES))

    for words, epoch, says in [
        ((), 1, "set log.epoch"),
        ((), 3, "nobody holds a checkpoint"),
        (("--checkpoint", folder / "foreign"), 2, "not of"),
        (("--checkpoint", folder / "rival"), 2, "hold different trees"),
    ]:
        refused = restored.restore_epoch(*words, epoch=epoch)
        assert (refused.exit_code, says in refused.output) == (2, True), refused.output
    with restored.store.uow.read() as session:
        assert reader.checkpoint(session)
        with pytest.raises(NotFoundError):
            epochs.continuation(session)


def test_of_all_checkpoints_that_are_known_the_newest_is_taken(restored):
    """Whoever gives an older one cannot make the log forget more than is lost."""
    folder = restored.store.settings.instance
    HighWater(folder).raise_to(restored.last)
    (folder / "older").write_text(restored.sign(1, 7))

    done = restored.restore_epoch("--checkpoint", folder / "older", "--yes")

    assert done.exit_code == 0, done.output
    assert f"from size {ENTRIES + 50}, which log.high-water holds" in done.output
