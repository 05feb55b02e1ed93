"""Evidence packs are verified without being unpacked (AUD-8, AUD-10)."""

from __future__ import annotations

import hashlib
import json
import zipfile
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from consent.formats import jws
from consent.formats.canonical import canonical_bytes
from consent.formats.encoding import b64u
from consent.formats.pack import TYPE, Held
from consent.formats.report import Findings
from consent.verifier import cli
from tests.support.evidence import MemoryLog, story
from tests.support.source import ROOT

LOG = story()
VECTORS = json.loads((ROOT / "tests/vectors/pack.json").read_text("utf-8"))
NOTICE = b'{"text":"shown"}'


def record(index, **change):
    """Return a line as a pack has it, of one of the log's entries."""
    event = LOG.events[index][0].pub
    members = ("time", "event", "purpose", "outcome", "count")
    line = {"index": index, "collections": list(event.collections), "person": "p-1"}
    return canonical_bytes(line | {name: getattr(event, name) for name in members} | change)


def contents():
    """Return the files of an honest pack."""
    bundle = LOG.bundle()
    receipts = {
        f"receipts/{receipt['dct:identifier'].rpartition(':')[2]}.json": canonical_bytes(receipt)
        for receipt in LOG.receipts
    }
    return {
        "README.en.txt": b"what it is\n",
        "bundle.json": bundle.to_bytes(),
        "records.jsonl": record(1) + b"\n" + record(4) + b"\n" + b'{"index":99}\n',
        f"notices/{hashlib.sha256(NOTICE).hexdigest()}.json": NOTICE,
        **receipts,
    }


def manifest(files, change=()):
    """Return a signed manifest of these files."""
    bundle = LOG.bundle()
    document = {
        "format": "pds-pack/1",
        "origin": bundle.origin,
        "checkpoint": bundle.checkpoint,
        "engagement": "e",
        "period": ["2026-03-01T00:00:00Z", "2026-04-01T00:00:00Z"],
        "filter": {},
        "files": [
            {"name": name, "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
            for name, data in files.items()
        ],
    }
    return canonical_bytes(
        jws.sign(document | dict(change), LOG.receipt_key, kid="receipts-1", typ=TYPE)
    )


@pytest.fixture
def verify(tmp_path, capsys):
    """Return a function that writes a pack and verifies it; the value is status and report."""
    x = b64u(LOG.hints().receipt_keys["receipts-1"])
    keys = {"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "receipts-1", "x": x}]}
    (tmp_path / "keys").write_text(json.dumps(keys))
    trust = ("--vkey", LOG.signer.verifier.to_text(), "--receipt-key", str(tmp_path / "keys"))

    def run(files, *, compression=zipfile.ZIP_STORED, keys=trust):
        path = tmp_path / "pack.zip"
        with zipfile.ZipFile(path, "w", compression) as archive:
            for name, data in files.items():
                archive.writestr(name, data)
        code = cli.main([str(path), *keys, "--json"])
        return code, json.loads(capsys.readouterr().out)

    return run


def part(indexes, *, log=LOG, receipts=(), **options):
    """Return a bundle of some entries with the receipts that cite them."""
    held = replace(log, receipts=[*receipts], agreements=log.agreements if receipts else [])
    return held.bundle(indexes, **options)


OF_VAULT, OF_GRANT = [0, 3], [1, 2, 4, 5, 6, 7]


def in_parts(*bundles):
    """Return the files of a pack of many bundles, without its manifest."""
    files = {name: data for name, data in contents().items() if name != "bundle.json"}
    for number, bundle in enumerate(bundles, start=1):
        files[f"bundles/{number:05}.json"] = bundle.to_bytes()
    return files


HONEST = in_parts(part(OF_VAULT), part(OF_GRANT, receipts=LOG.receipts))


def of_many(files, **change):
    """Return these files with the manifest of a pack of many bundles."""
    counted = {"format": "pds-pack/2", "entries": len(LOG.bundle().entries)}
    return files | {"manifest.json": manifest(files, counted | change)}


def whole(**change):
    """Return a pack's files with its manifest; None takes one out."""
    files = {name: data for name, data in (contents() | change).items() if data is not None}
    return files | {"manifest.json": manifest(files)}


def rules(report):
    return {failure["rule"] for failure in report["failures"]}


def test_an_honest_pack_is_verified_and_says_what_has_no_proof_in_it(verify):
    code, report = verify(whole())

    assert (code, report["failures"]) == (0, [])
    details = {check["name"]: check["detail"] for check in report["checks"]}
    assert details["records"] == "2 as the log has them, 1 without proof in this pack"
    assert details["files"] == f"{len(contents())} as listed"


def test_without_keys_it_is_self_consistent_at_best(verify):
    """P-34."""
    assert verify(whole(), keys=())[1]["verdict"] == "SELF_CONSISTENT_ONLY"


@pytest.mark.parametrize("name", [*contents(), "manifest.json"])
def test_one_changed_byte_in_any_file_is_found_and_the_file_named(verify, name):
    """AUD-16."""
    files = whole()
    data = bytearray(files[name])
    data[len(data) // 2] ^= 1
    files[name] = bytes(data)

    code, report = verify(files)

    assert code == 1
    expected = {"manifest.json": "manifest.json"}.get(name, name)
    assert expected in {failure["where"] for failure in report["failures"]}


def test_one_byte_changed_in_the_archive_itself_is_named_down_to_the_entry(tmp_path, capsys):
    """Its checksum is wrong then, too, and `zipfile` alone would say no more than that."""
    with zipfile.ZipFile(tmp_path / "pack.zip", "w") as archive:
        for name, data in whole().items():
            archive.writestr(name, data)
    data = (tmp_path / "pack.zip").read_bytes()
    (tmp_path / "pack.zip").write_bytes(data.replace(b'"count":1', b'"count":7', 1))

    assert cli.main([str(tmp_path / "pack.zip"), "--json"]) == 1
    where = [each["where"] for each in json.loads(capsys.readouterr().out)["failures"]]
    assert where[0] == "bundle.json"
    assert any(each.startswith("entries[4] index 4 ") for each in where)


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"records.jsonl": record(4, count=9)}, "record"),
        ({"records.jsonl": record(4, outcome="withdrawn")}, "record"),
        ({"records.jsonl": b"not JSON\n"}, "record"),
        ({f"notices/{'0' * 64}.json": NOTICE}, "pack-notice"),
        ({"receipts/6f1c1f1e-0000-4000-8000-000000000001.json": b"{}"}, "pack-receipt"),
        ({"receipts/6f1c1f1e-0000-4000-8000-000000000001.json": None}, "pack-receipt"),
        ({"receipts/another.json": b"{}"}, "pack-receipt"),
        ({"bundle.json": None}, "pack-form"),
    ],
)
def test_what_contradicts_the_bundle_is_found_though_the_manifest_was_signed_anew(
    verify, change, rule
):
    code, report = verify(whole(**change))

    assert (code, rules(report)) == (1, {rule})


def test_a_file_that_was_added_or_taken_out_is_named(verify):
    files = whole()
    del files["README.en.txt"]
    files["../../etc/passwd"] = b"never a path"

    failures = verify(files)[1]["failures"]

    assert {(each["where"], each["detail"]) for each in failures} == {
        ("README.en.txt", "listed, but not there"),
        ("../../etc/passwd", "there, but not listed"),
    }


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"origin": "elsewhere.example/log"}, "pack-form"),
        ({"checkpoint": LOG.checkpoint(5)}, "pack-form"),
        ({"format": "pds-pack/2"}, "pack-signature"),
        ({"format": "pds-pack/2", "entries": 9}, "pack-form"),
        ({"files": [{"name": "a", "bytes": 0, "sha256": "0" * 64}] * 2}, "pack-signature"),
    ],
)
def test_a_manifest_of_something_else_is_refused(verify, change, rule):
    files = contents()

    code, report = verify(files | {"manifest.json": manifest(files, change)})

    assert code == 1
    assert rule in rules(report)


def test_a_manifest_that_somebody_else_signed_is_refused(verify):
    files = contents()
    document = json.loads(manifest(files))
    del document["proof"]
    forged = jws.sign(document, Ed25519PrivateKey.generate(), kid="receipts-1", typ=TYPE)

    assert rules(verify(files | {"manifest.json": canonical_bytes(forged)})[1]) == {
        "pack-signature"
    }


def test_a_pack_that_is_compressed_is_not_opened(verify):
    """A little that unpacks to much is refused before anything is read of it."""
    bomb = whole() | {"records.jsonl": bytes(10_000_000)}

    code, report = verify(bomb, compression=zipfile.ZIP_DEFLATED)

    assert (code, report["failures"][0]["detail"]) == (1, "a pack compresses nothing")


def test_an_archive_that_is_cut_off_is_a_failure_not_a_crash(tmp_path, capsys):
    (tmp_path / "pack.zip").write_bytes(b"PK\x03\x04" + bytes(100))

    assert cli.main([str(tmp_path / "pack.zip"), "--json"]) == 1
    assert rules(json.loads(capsys.readouterr().out)) == {"pack-form"}


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_that_stands_there_twice_is_refused(tmp_path, capsys):
    with zipfile.ZipFile(tmp_path / "pack.zip", "w") as archive:
        for name, data in [*whole().items(), ("bundle.json", b"{}")]:
            archive.writestr(name, data)

    assert cli.main([str(tmp_path / "pack.zip"), "--json"]) == 1
    assert rules(json.loads(capsys.readouterr().out)) == {"pack-form"}


def test_a_pack_of_many_bundles_is_verified_as_one(verify):
    """AUD-12: each is checked alone, and what is in all of them is counted."""
    code, report = verify(of_many(HONEST))

    assert (code, report["failures"]) == (0, [])
    details = {check["name"]: check["detail"] for check in report["checks"]}
    assert details["bundles"] == "2 with 8 entries"
    assert details["records"] == "2 as the log has them, 1 without proof in this pack"
    assert len(details) == len(report["checks"])


@pytest.mark.parametrize("name", ["bundles/00001.json", "bundles/00002.json", "records.jsonl"])
def test_one_changed_byte_names_the_bundle_among_many(verify, name):
    """AUD-16"""
    files = of_many(HONEST)
    data = bytearray(files[name])
    data[len(data) // 2] ^= 1

    code, report = verify(files | {name: bytes(data)})

    assert (code, name in {each["where"] for each in report["failures"]}) == (1, True)


@pytest.mark.parametrize(
    ("files", "change", "rule"),
    [
        (in_parts(part(OF_VAULT)), {}, "pack-form"),
        (HONEST, {"entries": 7}, "pack-form"),
        (HONEST | {"bundle.json": LOG.bundle().to_bytes()}, {}, "pack-form"),
        ({**HONEST, "bundles/00004.json": part(OF_VAULT).to_bytes()}, {}, "pack-form"),
        (
            in_parts(part([1, 2], receipts=LOG.receipts[:1]), part([4, 5, 6, 7])),
            {"entries": 6},
            "pack-stream",
        ),
        (in_parts(part(OF_VAULT), part(OF_VAULT)), {"entries": 4}, "pack-stream"),
        (
            in_parts(part(OF_VAULT), part([0], checkpoint=LOG.checkpoint(5))),
            {"entries": 3},
            "pack-form",
        ),
    ],
    ids=["too-few", "count", "both", "number", "split-consent", "twice", "another-tree"],
)
def test_bundles_that_do_not_belong_together_are_refused(verify, files, change, rule):
    code, report = verify(of_many(files, **change))

    assert (code, rule in rules(report)) == (1, True)


@pytest.mark.parametrize(("parts", "wrong"), [(([0], [1, 2]), 0), (([0], [2]), 1), (([1], [0]), 1)])
def test_the_deployments_stream_goes_on_from_bundle_to_bundle(parts, wrong):
    log, held, findings = MemoryLog(), Held(), Findings()
    for name in ("auditor.created", "engagement.opened", "engagement.ended"):
        log.add(name, stream="d")

    for indexes in parts:
        held.take(part(indexes, log=log), findings)

    assert [each.rule for each in findings.failures] == ["pack-stream"] * wrong


def test_a_line_without_an_end_is_not_read_for_ever(verify):
    code, report = verify(whole(**{"records.jsonl": b"x" * 2_000_000}))

    assert (code, "record" in rules(report)) == (1, True)


@pytest.mark.parametrize("case", VECTORS["cases"], ids=lambda case: case["name"])
def test_vectors(verify, case):
    """Frozen, so that another verifier can be held to them; the keys are those of `LOG`."""
    changed = VECTORS["files"] | case["change"]

    _, report = verify({name: text for name, text in changed.items() if text is not None})

    assert VECTORS["vkey"] == LOG.signer.verifier.to_text()
    assert (report["verdict"], sorted(rules(report))) == tuple(case["expect"].values())
