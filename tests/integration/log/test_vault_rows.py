"""The rows of a vault, as they are stored, against its log (LOG-25, P-32; `pds verify --vault`)."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlalchemy import delete, select, update

from api import cli
from api.vault_checking import check
from api.worker import Worker
from consent.formats.trust import Trust
from consent.formats.vault_rows import WRITES
from consent.log import evidence
from consent.log.opening import Opener
from consent.models import Event, EventPayload
from pds.imports import staging
from pds.models import Record, RecordVersion
from pds.records import Draft
from pds.settings import SETTINGS_FILE
from tests.support.world import PASSPHRASE
from tests.support.worlds import TickingClock, world_on

CARDS = b"".join(
    f"BEGIN:VCARD\r\nVERSION:4.0\r\nFN:Person {number}\r\nEND:VCARD\r\n".encode()
    for number in range(3)
)
PRODUCT = {"product_type": "insurance", "name": "Kasko", "provider": "Insurer"}


@pytest.fixture
def world(store):
    with world_on(store, clock=TickingClock()) as world:
        yield world


class Written:
    """A person whose records came in every way that there is, and the log's key."""

    def __init__(self, world, monkeypatch):
        self.world, services = world, world.services
        self.person = person = world.person()
        self.edited = person.save("interests", topic="chess")
        self.edited = self.edit(self.edited, topic="go")
        self.deleted = person.save("interests", topic="draughts")
        person.records.delete(self.deleted.id, version=1)
        restored = person.save("interests", topic="whist")
        seq = person.records.delete(restored.id, version=1).seq
        assert services.deleted(person.visitor).undo(seq, seq).restored == 1
        self.blanked = person.save("profile", given_name="Aysel")
        person.records.delete(self.blanked.id, version=1)
        self.kept = [person.save("interests", topic=topic) for topic in ("go", "bridge", "dice")]
        monkeypatch.setattr(staging, "BATCH_RECORDS", 2)
        imports = services.imports(person.visitor)
        running = imports.stage("vcard", CARDS)
        while imports.advance(running).state != "done":
            pass
        self.deposit()
        self.sign()

    def sign(self):
        worker = Worker(self.world.services)
        worker.turn()
        worker.stop()

    def edit(self, opened, **data):
        return self.person.records.save(Draft(opened.collection, data, opened.id, opened.version))

    def deposit(self):
        insurer = self.world.organisation("Insurer")
        required = [f"products.{name}" for name in PRODUCT]
        template = insurer.publish(required=required, actions=["write"])
        writes = self.world.connect(self.person, insurer, template, ask={"actions": ["write"]})
        body = {"document_id": "policy-1", "data": PRODUCT}
        assert writes.post("/v1/records/products", body).status_code == 202
        assert self.person.sign_in().absorbed == 1

    def entrance(self):
        return self.world.services.accounts.enter(self.person.login, PASSPHRASE)

    def trust(self):
        return Trust(log_keys=(self.world.services.log_signer.verifier,))

    def check(self, earlier=None):
        return check(self.world.services, self.entrance(), self.trust(), earlier)

    def found(self, earlier=None):
        report = self.check(earlier)
        return {(each.where, each.rule) for each in report.failures}

    def bundle(self):
        """Return what its owner downloads."""
        visitor = self.person.visitor
        with self.world.services.uow.read() as session:
            streams = evidence.streams_of_vault(session, visitor.vault.bucket, visitor.vault.id)
            opener = Opener(visitor.open_vault)
            return evidence.build_bundle(session, streams[:1], open_private=opener).to_bytes()

    def change(self, *statements):
        def job(session):
            for statement in statements:
                session.execute(statement)

        self.world.services.uow.write(job)

    def row(self, record):
        with self.world.services.uow.read() as session:
            query = select(Record).where(Record.id == record.id)
            columns = Record.__table__.columns.keys()
            found = session.scalars(query).one()
            return {name: getattr(found, name) for name in columns if name != "id"}

    def put(self, record, values):
        self.change(update(Record).where(Record.id == record.id).values(**values))


def named(record, rule):
    return f"record {record.id}", rule


@pytest.mark.tampers
def test_every_write_is_logged_by_the_hash_of_its_box_and_every_other_row_is_named(
    world, monkeypatch
):
    """Each way of writing, each kind of difference, at once; on each store."""
    written = Written(world, monkeypatch)
    older = written.row(written.kept[0])
    written.edit(written.kept[0], topic="backgammon")

    report = written.check()

    assert report.failures == ()
    assert report.verdict == "VERIFIED"
    with world.services.uow.read() as session:
        names = set(session.scalars(select(Event.name)))
    assert names >= WRITES

    stands = written.row(written.deleted) | {"deleted": False}
    rolled_back, removed, changed = written.kept
    box = bytearray(written.row(changed)["box"])
    box[-1] ^= 1
    written.put(rolled_back, older)
    written.put(written.deleted, stands)
    first, second = written.edited.id, written.blanked.id
    written.change(
        update(RecordVersion).where(RecordVersion.record_id == second).values(box=b"x"),
        delete(RecordVersion).where(RecordVersion.record_id == first),
    )
    written.put(changed, {"box": bytes(box)})
    written.change(
        delete(RecordVersion).where(RecordVersion.record_id == removed.id),
        delete(Record).where(Record.id == removed.id),
        update(Record).where(Record.id == written.edited.id).values(author_kind="organisation"),
    )

    assert written.found() == {
        named(rolled_back, "row-rolled-back"),
        named(written.deleted, "row-put-back"),
        named(removed, "row-removed"),
        named(changed, "row-changed"),
        named(written.edited, "row-changed"),
        (f"record {first} version 1", "version-removed"),
        (f"record {second} version 1", "version-changed"),
    }


@pytest.fixture(scope="module")
def whole(stores):
    """On one store: what follows compares files and commands."""
    with stores.migrated("sqlite") as store, pytest.MonkeyPatch.context() as monkeypatch:
        folder = store.settings.instance
        (folder / SETTINGS_FILE).write_text("[server]\ninsecure_loopback = true\n", "utf-8")
        with world_on(store, clock=TickingClock()) as world:
            written = Written(world, monkeypatch)
            with stores.kept(store, world.services.uow) as go_back:
                yield written, go_back


@pytest.fixture
def written(whole):
    written, go_back = whole
    yield written
    go_back()


def test_a_whole_store_that_was_rolled_back_is_found_by_earlier_evidence(whole):
    """It agrees with itself; what its owner downloaded does not agree with it."""
    written, go_back = whole
    written.edit(written.kept[0], topic="backgammon")
    written.sign()
    earlier = written.bundle()
    go_back()

    assert written.found() == set()
    assert written.found(earlier) == {named(written.kept[0], "row-rolled-back")}


@pytest.mark.tampers
def test_dropping_the_private_part_of_a_write_hides_nothing(written):
    with written.world.services.uow.read() as session:
        query = select(Event.id, Event.stream, Event.seq).where(Event.name == "record.deleted")
        first = session.execute(query.order_by(Event.id)).first()
    gone = update(EventPayload).where(EventPayload.event_id == first.id)
    written.change(gone.values(priv_box=None, priv_key="none"))

    assert (f"{first.stream}/{first.seq} record.deleted", "write-unopened") in written.found()


@pytest.mark.tampers
def test_an_unsigned_write_that_is_taken_out_leaves_a_gap(written):
    written.edit(written.edited, topic="shogi")
    with written.world.services.uow.read() as session:
        last = session.execute(
            select(Event.bucket, Event.id, Event.stream, Event.seq)
            .where(Event.name == "record.written")
            .order_by(Event.id.desc())
        ).first()
    for model, key in ((EventPayload, EventPayload.event_id), (Event, Event.id)):
        written.change(delete(model).where(model.bucket == last.bucket, key == last.id))

    assert (f"{last.stream}/{last.seq}", "stream-gap") in written.found()


def run(written, *words):
    folder = str(written.world.store.settings.instance)
    arguments = ["verify", "--vault", written.person.login, "--instance", folder, *words]
    return CliRunner().invoke(cli.main, arguments, input=f"{PASSPHRASE}\n\n")


@pytest.mark.tampers
def test_the_command_asks_for_the_passphrase_and_names_the_record(written, tmp_path):
    vkey = written.world.services.log_signer.verifier.to_text()
    report = tmp_path / "report.json"

    right = run(written, "--vkey", vkey)
    assert right.exit_code == 0, right.output
    assert right.output.endswith("VERIFIED\n")
    assert run(written).exit_code == 3  # no key of the caller's (P-34)

    earlier = tmp_path / "earlier.json"
    earlier.write_bytes(written.bundle())
    assert run(written, "--vkey", vkey, "--evidence", str(earlier)).exit_code == 0

    written.put(written.edited, {"version": 1})
    wrong = run(written, "--vkey", vkey, "--json")
    assert wrong.exit_code == 1
    report.write_text(re.search(r"\{.*\}", wrong.output, re.DOTALL)[0])
    assert json.loads(report.read_text())["failures"][0]["where"] == f"record {written.edited.id}"

    folder = str(written.world.store.settings.instance)
    words = ["verify", "--vault", written.person.login, "--instance", folder]
    denied = CliRunner().invoke(cli.main, words, input="not the passphrase\n\n")
    assert denied.exit_code == 2
    assert "--passphrase" not in CliRunner().invoke(cli.main, [*words, "--help"]).output


def test_no_write_has_a_name_that_the_comparison_does_not_know():
    """A write that is not opened must be missed, whatever wrote it."""
    sources = "".join(file.read_text("utf-8") for file in Path("pds").rglob("*.py"))
    calls = sources.split("save_all(")[1:]
    found = {name for call in calls for name in re.findall(r'event="([a-z.]+)"', call[:120])}

    assert found == WRITES
