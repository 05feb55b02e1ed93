"""The verifier's command line (LOG-25, LOG-26, AUD-8)."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from consent.formats.canonical import canonical_bytes
from consent.formats.cosignature import Cosigner
from consent.formats.encoding import b64u
from consent.verifier import cli
from tests.support.evidence import MemoryLog, story

LOG = story()
VKEY = LOG.signer.verifier.to_text()


@pytest.fixture
def files(tmp_path):
    """Write what a caller has: bundle, receipt, proof, keys, an earlier checkpoint."""
    x = b64u(LOG.hints().receipt_keys["receipts-1"])
    keys = [
        {"kty": "OKP", "crv": "Ed25519", "kid": "receipts-1", "x": x},
        {"kty": "EC", "crv": "P-256", "kid": "other"},
    ]
    contents = {
        "bundle": LOG.bundle(consistency=[LOG.consistency(5)]).to_bytes(),
        "receipt": canonical_bytes(LOG.receipts[0]),
        "proof": LOG.proof(1).encode(),
        "jwks": json.dumps({"keys": keys}).encode(),
        "vkeys": f"{VKEY}\n".encode(),
        "old": LOG.checkpoint(5).encode(),
        "latin1": "é".encode("latin-1"),
    }
    for name, data in contents.items():
        (tmp_path / name).write_bytes(data)
    return {name: str(tmp_path / name) for name in contents}


def run(*arguments):
    return cli.main(list(arguments))


def test_an_honest_bundle_ends_with_0_and_says_what_was_checked(files, capsys):
    code = run(files["bundle"], "--vkey", VKEY, "--receipt-key", files["jwks"])

    assert code == 0
    out = capsys.readouterr().out
    assert out.endswith("VERIFIED\n")
    assert "2 reads, each inside a consent alive at the time" in out


def test_keys_come_from_files_too_and_a_checkpoint_may_be_pinned(files, capsys):
    code = run(
        *(files["bundle"], "--vkey", files["vkeys"], "--receipt-key", files["jwks"]),
        *("--checkpoint", files["old"], "--json"),
    )

    report = json.loads(capsys.readouterr().out)
    assert (code, report["verdict"], report["failures"]) == (0, "VERIFIED", [])
    assert {"name": "consistency", "outcome": "passed", "detail": "size 8 extends size 5"} in (
        report["checks"]
    )


def test_without_keys_it_ends_with_3(files, capsys):
    """P-34."""
    assert run(files["bundle"]) == 3
    assert capsys.readouterr().out.endswith("SELF_CONSISTENT_ONLY\n")


def test_one_flipped_byte_ends_with_1_and_names_the_entry(files, tmp_path, capsys):
    """AUD-16."""
    data = LOG.bundle().to_bytes().replace(b'"count":1', b'"count":2', 1)
    (tmp_path / "flipped").write_bytes(data)

    code = run(str(tmp_path / "flipped"), "--vkey", VKEY, "--receipt-key", files["jwks"])

    assert code == 1
    assert "FAILURE entries[4] index 4 g." in capsys.readouterr().out


def test_a_receipt_is_verified_with_and_without_its_proof(files, capsys):
    keys = ("--vkey", VKEY, "--receipt-key", files["jwks"])

    assert run(files["receipt"], *keys) == 0
    assert "no proof of inclusion is at hand yet" in capsys.readouterr().out
    assert run(files["receipt"], *keys, "--proof", files["proof"]) == 0
    assert "not checked" not in capsys.readouterr().out


def test_witnesses_are_known_by_the_type_of_their_keys(files, tmp_path):
    witness = Cosigner.generate("witness.example/w1", now=lambda: 1_772_000_000)
    vkeys = ("--vkey", VKEY, "--vkey", witness.verifier.to_text(), "--quorum", "1")
    keys = (*vkeys, "--receipt-key", files["jwks"])
    cosigned = LOG.bundle(checkpoint=LOG.checkpoint(signers=[witness])).to_bytes()
    (tmp_path / "cosigned").write_bytes(cosigned)

    policy = f"log {VKEY}\nwitness w1 {witness.verifier.to_text()}\nquorum w1\n"
    (tmp_path / "policy").write_text(policy)
    from_file = ("--policy", str(tmp_path / "policy"), "--receipt-key", files["jwks"])

    for given in (keys, from_file):
        assert run(str(tmp_path / "cosigned"), *given) == 0
        assert run(files["bundle"], *given) == 1
    assert run(files["bundle"], *keys, *from_file) == 2
    (tmp_path / "policy").write_text("quorum w1\n")
    assert run(files["bundle"], *from_file) == 2


@pytest.mark.parametrize(
    "arguments",
    [
        ["missing"],
        ["bundle", "--vkey", "no key"],
        ["bundle", "--vkey", "latin1"],
        ["bundle", "--receipt-key", "vkeys"],
        ["bundle", "--checkpoint", "latin1"],
        ["receipt", "--proof", "missing"],
    ],
    ids=" ".join,
)
def test_what_cannot_run_ends_with_2(files, arguments, capsys):
    code = run(*(files.get(each, each) for each in arguments))

    captured = capsys.readouterr()
    assert (code, captured.out) == (2, "")
    assert captured.err.startswith("verify: ")


def test_what_is_no_json_fails(files):
    assert run(files["latin1"]) == 1


class Terminal:
    def __init__(self, *, is_terminal):
        self.written, self.is_terminal = "", is_terminal

    def write(self, text):
        self.written += text

    def isatty(self):
        return self.is_terminal


@pytest.fixture(scope="module")
def long_bundle(tmp_path_factory):
    log = MemoryLog()
    log.add("consent.given")
    for _ in range(1000):
        log.read()
    path = tmp_path_factory.mktemp("long") / "bundle"
    path.write_bytes(log.bundle().to_bytes())
    return str(path)


def test_a_long_bundle_has_a_bar_on_a_terminal(long_bundle, monkeypatch):
    terminal = Terminal(is_terminal=True)
    monkeypatch.setattr(sys, "stderr", terminal)

    assert run(long_bundle, "--vkey", VKEY) == 0

    assert terminal.written.startswith("\r[....")
    assert terminal.written.endswith(f"\r[{'#' * 30}] 1001/1001\n")


def test_a_long_bundle_has_plain_lines_elsewhere(long_bundle, monkeypatch):
    pipe = Terminal(is_terminal=False)
    monkeypatch.setattr(sys, "stderr", pipe)

    assert run(long_bundle, "--vkey", VKEY) == 0

    lines = pipe.written.splitlines()
    assert lines[0] == "0 of 1001 entries"
    assert lines[-1] == "1001 of 1001 entries"
    assert len(lines) == 11


@pytest.mark.parametrize("is_terminal", [True, False])
def test_a_short_bundle_shows_no_progress(files, monkeypatch, is_terminal):
    stream = Terminal(is_terminal=is_terminal)
    monkeypatch.setattr(sys, "stderr", stream)

    run(files["bundle"])

    assert stream.written == ""


def test_it_runs_alone_as_a_module(files):
    """Nothing of the server is imported: standard library and cryptography suffice."""
    script = (
        "import sys; from consent.verifier import cli; code = cli.main(sys.argv[1:]);"
        "ours = {m.split('.')[0] for m in sys.modules} & {'pds', 'api', 'sqlalchemy', 'flask'};"
        "sys.exit(code if not ours else 99)"
    )
    arguments = [files["bundle"], "--vkey", VKEY, "--receipt-key", files["jwks"]]

    alone = subprocess.run([sys.executable, "-c", script, *arguments], check=False)  # noqa: S603 - our own script
    module = [sys.executable, "-m", "consent.verifier", files["bundle"]]
    as_module = subprocess.run(module, check=False, capture_output=True)  # noqa: S603 - as above

    assert (alone.returncode, as_module.returncode) == (0, 3)
