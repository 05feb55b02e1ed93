"""Evidence packs: deterministic, verifiable, safe, and accounted for (AUD-10 to AUD-12)."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import zipfile
from datetime import timedelta

import pytest
from sqlalchemy import update

from consent.auditing import packs
from consent.auditing.models import Custody
from consent.formats import jws
from consent.formats.pack import TYPE
from consent.formats.report import Verdict
from consent.formats.trust import Trust
from consent.formats.verify import verify_bundle
from consent.verifier import cli as verifier
from pds.clock import rfc3339
from tests.support.auditing import engaged, integrate


@pytest.fixture
def whole(world):
    return engaged(world)


def receipt_keys(world):
    receipts = world.services.receipts
    return {receipts.kid: receipts.key.public_key().public_bytes_raw()}


def opened(answer):
    assert answer.status_code == 200, answer.text
    with zipfile.ZipFile(io.BytesIO(answer.content)) as pack:
        return {name: pack.read(name) for name in pack.namelist()}


def records(found):
    return [json.loads(line) for line in found["records.jsonl"].splitlines()]


def test_a_packs_bundle_verifies_and_its_manifest_names_every_file(world, whole):
    """AUD-10."""
    found = opened(whole.get("pack"))

    report = verify_bundle(
        found["bundle.json"], Trust((world.services.log_signer.verifier,), receipt_keys(world))
    )
    manifest = jws.verify(json.loads(found["manifest.json"]), receipt_keys(world), typ=TYPE)
    assert report.verdict is Verdict.VERIFIED, report.failures
    assert {each["name"]: each["sha256"] for each in manifest["files"]} == {
        name: hashlib.sha256(content).hexdigest()
        for name, content in found.items()
        if name != "manifest.json"
    }
    assert {"README.az.txt", "README.en.txt", "keys/vkeys"} <= set(found)
    assert [name for name in found if name.startswith("notices/")]
    assert [name for name in found if name.startswith("receipts/")]


def test_the_verifier_accepts_a_pack_as_it_was_taken(world, whole, tmp_path, capsys):
    """AUD-8: the real file, with the keys as the server publishes them."""
    (tmp_path / "pack.zip").write_bytes(whole.get("pack").content)
    (tmp_path / "keys").write_bytes(opened(whole.get("pack"))["keys/receipt-keys.json"])
    vkey = world.services.log_signer.verifier.to_text()

    code = verifier.main(
        [str(tmp_path / "pack.zip"), "--vkey", vkey, "--receipt-key", str(tmp_path / "keys")]
    )

    assert code == 0, capsys.readouterr().out


def test_the_same_filter_on_the_same_tree_gives_the_same_bytes(story, whole):
    first, second = (whole.get("pack", organisation=str(story.shop.id)) for _ in range(2))

    assert first.content == second.content
    assert first.headers["PDS-Pack-SHA256"] == hashlib.sha256(first.content).hexdigest()


def test_a_pack_is_of_one_agreement_person_organisation_or_period(story, whole):
    by_person = {each["person"] for each in records(opened(whole.get("pack"))) if each["person"]}
    person = min(by_person)
    half_way = rfc3339(story.clock.instant - timedelta(minutes=11))

    def streams(**query):
        found = opened(whole.get("pack", **query))
        return records(found), json.loads(found["bundle.json"])["streams"]

    of_one, one_stream = streams(agreement=str(story.stopped.agreement_id))
    of_person, _ = streams(person=person)
    of_bank, bank_streams = streams(organisation=str(story.bank.id))
    early, _ = streams(until=half_way)
    assert {each["agreement"] for each in of_one} == {str(story.stopped.agreement_id)}
    assert (len(one_stream), len(bank_streams)) == (1, 1)
    assert {each["person"] for each in of_person} == {person}
    assert {each["organisation"] for each in of_bank} == {str(story.bank.id)}
    assert "consent.withdrawn" not in {each["event"] for each in early}


def test_what_is_outside_of_an_engagement_is_in_no_pack(story, world):
    of_bank = engaged(world, story.bank)
    for query in (
        {"organisation": str(story.shop.id)},
        {"agreement": str(story.stopped.agreement_id)},
        {"person": "p." + "0" * 28},
    ):
        found = opened(of_bank.get("pack", **query))
        assert (found["records.jsonl"], json.loads(found["bundle.json"])["entries"]) == (b"", [])
        assert not [name for name in found if name.startswith(("notices/", "receipts/"))]
    assert of_bank.get("pack", since="x").status_code == 422


def test_no_pack_names_a_person_or_holds_a_value(story, whole):
    content = whole.get("pack").content
    vault = story.stopped.person.vault_id

    for secret in (b"canary", b"aysel", str(vault).encode(), vault.hex.encode()):
        assert secret not in content


def test_records_are_the_same_as_lines_and_as_a_table(whole):
    """AUD-12: in order of the log, ISO times, a mark for spreadsheets if it is asked for."""
    found = opened(whole.get("pack", bom="1"))
    table = list(csv.DictReader(io.StringIO(found["records.csv"].decode("utf-8-sig"), newline="")))

    assert found["records.csv"].startswith(b"\xef\xbb\xbf")
    assert [int(each["index"]) for each in table] == [each["index"] for each in records(found)]
    assert [each["index"] for each in records(found)] == sorted(int(e["index"]) for e in table)
    assert [each["time"] for each in table] == [each["time"] for each in records(found)]
    assert not opened(whole.get("pack"))["records.csv"].startswith(b"\xef\xbb\xbf")


def test_too_much_for_one_pack_is_refused(whole, monkeypatch):
    for limit in ("ENTRIES_MOST", "GRANT_ENTRIES_MOST"):
        with monkeypatch.context() as patch:
            patch.setattr(packs, limit, 3)
            assert whole.get("pack").status_code == 429


def test_only_what_is_in_the_period_counts_as_too_much(story, world, whole, monkeypatch):
    """Else a consent that was read much later could never be looked at again."""
    until = rfc3339(story.clock.instant - timedelta(minutes=11))
    mine = {"agreement": str(story.stopped.agreement_id)}
    entries = len(records(opened(whole.get("pack", **mine))))
    before = len(records(opened(whole.get("pack", **mine, until=until))))
    later = engaged(world, days_before=-20, days_after=25)
    monkeypatch.setattr(packs, "GRANT_ENTRIES_MOST", before)
    monkeypatch.setattr(packs, "ENTRIES_MOST", entries)

    assert 0 < before < entries
    assert whole.get("pack", **mine).status_code == 429
    assert whole.get("pack", **mine, until=until).status_code == 200
    assert later.get("pack").status_code == 200  # none of it is in that one


def test_what_is_too_much_for_one_bundle_is_in_several(world, whole, monkeypatch, tmp_path, capsys):
    """AUD-12: a consent is never split, the deployment's stream goes on; the same bytes again."""
    integrate(world)
    monkeypatch.setattr(packs, "BUNDLE_ENTRIES", 3)
    first, second = (whole.get("pack") for _ in range(2))
    found = opened(whole.get("pack"))
    bundles = [json.loads(found[name]) for name in sorted(found) if name.startswith("bundles/")]
    (tmp_path / "pack.zip").write_bytes(whole.get("pack").content)
    (tmp_path / "keys").write_bytes(found["keys/receipt-keys.json"])
    vkey = world.services.log_signer.verifier.to_text()

    keys = ["--vkey", vkey, "--receipt-key", str(tmp_path / "keys")]
    code = verifier.main([str(tmp_path / "pack.zip"), *keys])

    assert code == 0, capsys.readouterr().out
    assert first.content == second.content
    held = [each["stream"] for bundle in bundles for each in bundle["streams"]]
    assert len(bundles) > 2
    assert {each for each in held if held.count(each) > 1} == {"d"}
    assert {bundle["checkpoint"] for bundle in bundles} == {bundles[0]["checkpoint"]}


def test_taking_a_pack_is_logged_with_filter_and_hash_and_checked_later(story, world):
    """AUD-11."""
    auditor, other = engaged(world), engaged(world)
    answer = auditor.get("pack", organisation=str(story.shop.id))
    sha256 = answer.headers["PDS-Pack-SHA256"]
    integrate(world)

    (listed,) = auditor.get("packs").json()["packs"]
    found = auditor.get(f"packs/{sha256}").json()

    assert listed == found
    assert (found["proved"], found["filter"]) == (True, {"organisation": str(story.shop.id)})
    assert (found["auditor"], found["index"] is None) == (str(auditor.auditor_id), False)
    assert auditor.get(f"packs/{'0' * 64}").status_code == 404
    assert other.get(f"packs/{sha256}").status_code == 404


@pytest.mark.tampers
def test_custody_that_was_altered_is_not_proved(world):
    """AUD-11: the log commits to file, filter and auditor."""
    auditor = engaged(world)
    sha256 = auditor.get("pack", event="data.read").headers["PDS-Pack-SHA256"]
    with world.services.uow.read() as session:
        row = session.query(Custody).filter_by(sha256=sha256).one()
        altered = row.document.replace(b"data.read", b"data.none")
    world.services.uow.write(
        lambda session: session.execute(
            update(Custody).where(Custody.sha256 == sha256).values(document=altered)
        )
    )

    assert auditor.get(f"packs/{sha256}").json()["proved"] is False
