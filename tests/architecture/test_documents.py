"""The documents are true of the code."""

from __future__ import annotations

import ast
import base64
import importlib
import json
import re
import sqlite3
import time
from contextlib import closing
from dataclasses import fields, is_dataclass
from datetime import date

import click
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from api import cli, schema
from api.uow import UnitOfWork
from api.vault_checking import verify_rows
from connector import cli as connector_cli
from consent import requests, templates
from consent.formats import meaning
from consent.verifier import cli as verifier
from consent.vocabulary import EventName, FeedEvent
from consent.webhooks.keys import Signers, secret_text
from pds import settings as settings_module
from pds.settings import Settings
from tests.support.documents import (
    DOCUMENTS,
    by_name,
    code_blocks,
    code_spans,
    command_lines,
    document,
    first_cells,
    headings,
    invocations,
    links,
    read,
    with_errors,
)
from tests.support.new_migration import all_tables
from tests.support.source import ROOT, modules

PROGRAMS = {"pds": cli.main, "pds-connector": connector_cli.main}
CLAIMS_NOT_MADE = re.compile(r"zero[- ]knowledge|end[- ]to[- ]end", re.IGNORECASE)
A_NAME = re.compile(r"(?:pds|consent|api|connector|witness)(?:\.\w+)+")
EVENTS = {
    meaning.PAUSED,
    meaning.RESUMED,
    *meaning.ENDS,
    *meaning.TERMS_CHANGE,
    *EventName,
    *FeedEvent,
}
FILE_ENDINGS = (".db", ".py", ".toml", ".sql")

each_document = pytest.mark.parametrize("path", DOCUMENTS, ids=by_name)


@each_document
def test_every_command_in_a_document_exists_with_its_options(path, capsys):
    with pytest.raises(SystemExit):
        verifier.main(["--help"])
    verify_help = capsys.readouterr().out
    verify_help += str([option.opts for option in verify_rows.params])

    for words in invocations(read(path), PROGRAMS):
        command, given, known = _resolve(words)
        unknown = given - known
        if command.name == "verify":
            unknown = {option for option in unknown if option not in verify_help}
        assert unknown == set(), words


@pytest.mark.parametrize("readme", ["README.md", "README.az.md"])
def test_every_command_is_in_the_readme(readme):
    named = [" ".join(words) for words in invocations(document(readme), PROGRAMS)]
    made = {path for name, group in PROGRAMS.items() for path in _leaves(group, name)}

    missing = {path for path in made if not any(one.startswith(path) for one in named)}

    assert missing == set()


@each_document
def test_every_make_target_in_a_document_exists(path):
    found = [re.match(r"make ([a-z0-9-]+)", line) for line in command_lines(read(path))]
    made = set(re.findall(r"^([a-z0-9-]+):", document("Makefile"), re.MULTILINE))

    assert {match[1] for match in found if match} <= made


def test_the_two_readmes_mirror_each_other():
    """DEMO-14: the same sections, tables, commands and links."""
    assert _shape(document("README.az.md")) == _shape(document("README.md"))


@each_document
def test_links_between_documents_resolve(path):
    for target in links(read(path)):
        if target.startswith(("http:", "https:")):
            continue
        name, _, anchor = target.partition("#")
        linked = (path.parent / name).resolve() if name else path
        assert linked.exists(), target
        assert not anchor or anchor in headings(read(linked)), target


def test_every_page_is_reached_from_the_readme():
    pages = {by_name(path) for path in (ROOT / "docs").glob("*.md")}

    assert pages <= set(links(document("README.md")))


def test_every_decision_is_in_the_index():
    made = {path.name for path in (ROOT / "docs/adr").glob("0*.md")}

    assert made == set(links(document("docs/adr/README.md")))


def test_every_setting_is_documented_with_its_default():
    row = re.compile(r"^\| `([a-z_]+\.[a-z_0-9]+)` \| ([^|]+) \| [^|]+ \|$", re.MULTILINE)
    cells = row.findall(document("docs/operations.md"))
    sections = [each for each in fields(Settings) if is_dataclass(each.default_factory)]
    defaults = {
        f"{section.name}.{item.name}": f"`{str(item.default).lower()}`"
        if item.default != ""
        else "empty"
        for section in sections
        for item in fields(section.default_factory)
    }
    names = {section.name for section in sections}

    assert {key: text for key, text in cells if key.partition(".")[0] in names} == defaults


def test_the_errors_of_the_api_are_documented_as_they_are():
    """ORG-9: the table is made from the code."""
    text = document("docs/api.md")

    assert "| `consent-withdrawn` | 403 |" in text
    assert with_errors(text) == text


def test_every_event_is_documented_and_none_is_invented():
    documented = first_cells(document("docs/architecture.md"), "## Events", "## The connector")

    assert documented == {name.value for name in EventName} | set(_logged_by_the_vault())


def test_every_table_is_documented_and_none_is_invented():
    documented = first_cells(document("docs/architecture.md"), "## Tables", "## Four objects")

    assert documented == set(all_tables().tables)


@each_document
def test_names_of_the_code_exist(path):
    for span in code_spans(read(path)):
        if A_NAME.fullmatch(span) and not span.endswith(FILE_ENDINGS):
            assert span in EVENTS or _exists(span), span


@each_document
def test_tests_that_a_document_names_exist(path):
    for name in re.findall(r"`((?:\w+/)+test_\w+\.py)`", read(path)):
        assert (ROOT / "tests" / name.removeprefix("tests/")).is_file(), name


@each_document
def test_no_document_claims_what_is_not_so(path):
    """TAK-1: it is security at rest."""
    assert not CLAIMS_NOT_MADE.search(read(path))


def test_the_template_of_the_api_page_can_be_published():
    (template,) = code_blocks(document("docs/api.md"), "json template")

    found = templates.lint(json.loads(template), on=date(2026, 11, 22))

    assert (found.errors, found.flags) == ((), ())


def test_the_request_of_the_api_page_has_the_members_of_one():
    (details,) = code_blocks(document("docs/api.md"), "json details")

    asked = json.loads(details)

    assert (asked.keys(), asked["type"]) == (requests.MEMBERS, requests.TYPE)


def test_the_examples_that_verify_a_webhook_do(monkeypatch):
    """ORG-17: what a reader copies from the page takes a true message, and no other."""
    text = document("docs/webhooks.md")
    (message,) = code_blocks(text, "json message")
    (shared,) = code_blocks(text, "python verify")
    (public,) = code_blocks(text, "python verify-ed25519")
    names = {}
    exec(shared + public, names)  # noqa: S102 - our own page
    own, now = Ed25519PrivateKey.generate(), int(time.time())
    body, secret = message.encode(), bytes(32)
    headers = {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(now),
        "webhook-signature": Signers([secret], [own]).signature("msg_1", now, body),
    }
    whpk = "whpk_" + base64.b64encode(own.public_key().public_bytes_raw()).decode()

    assert names["verified"](headers, body, secret_text(secret))
    assert names["verified_by_key"](headers, body, whpk)
    assert not names["verified"](headers, body + b" ", secret_text(secret))
    assert not names["verified_by_key"](headers, body + b" ", whpk)
    assert not names["verified"](headers, body, secret_text(b"x" * 32))
    monkeypatch.setattr("time.time", lambda: now + 301)
    assert not names["verified"](headers, body, secret_text(secret))


def test_every_type_of_webhook_is_documented_and_none_is_invented():
    found = first_cells(document("docs/webhooks.md"), "## What is sent", "## Endpoints")

    assert found == {*FeedEvent, "test"}


def test_backup_and_restore_of_sqlite_are_as_documented(tmp_path):
    """TAK-25, REL-R7: wrapped keys leave the backup of the data, and come back."""
    live, data, keys = (tmp_path / name for name in ("pds.db", "data.db", "keys.db"))
    _make_store_with_one_wrap(tmp_path)
    split, join = (
        block.replace("'keys.db'", f"'{keys}'")
        for block in code_blocks(document("docs/operations.md"), "sql")
    )

    _run(live, f"VACUUM INTO '{data}'")
    _run(data, split)

    assert b"sealed-box" not in data.read_bytes()
    assert b"sealed-box" in keys.read_bytes()

    _run(data, join)

    assert _wraps(data) == _wraps(live) != []


def _resolve(words):
    """Return the click command that words name, and the options given to it and to its groups."""
    command, known, rest = PROGRAMS[words[0]], {"--help"}, words[1:]
    while isinstance(command, click.Group) and rest:
        known |= _options(command)
        if rest[0].startswith("-"):
            rest = rest[2:] if rest[0] in _options(command) else []  # the option and its value
        else:
            command, rest = command.commands[rest[0]], rest[1:]
    given = {word.partition("=")[0] for word in words if word.startswith("--")}
    return command, given, known | _options(command)


def _options(command):
    return {name for each in command.params for name in each.opts}


def _leaves(group, path):
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from _leaves(command, f"{path} {name}")
        else:
            yield f"{path} {name}"


def _shape(text):
    text = text.replace("consent-az.png", "consent-en.png").replace("README.az.md", "README.md")
    blocks = [re.sub(r" *#.*", "", block) for block in code_blocks(text, "sh")]
    elsewhere = [link for link in links(text) if not link.startswith("#")]
    return text.count("\n## "), text.count("\n|"), blocks, elsewhere


def _logged_by_the_vault():
    """Return the names that `pds` gives its events: `VaultEvent("name", …)`, `event="name"`."""
    for _, tree in modules("pds"):
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                named = node.args[:1] if getattr(node.func, "id", "") == "VaultEvent" else []
                named = [*named, *(word.value for word in node.keywords if word.arg == "event")]
                yield from (each.value for each in named if isinstance(each, ast.Constant))


def _exists(dotted):
    parts = dotted.split(".")
    for size in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:size]))
        except ModuleNotFoundError:
            continue
        for name in parts[size:]:
            found = getattr(found, name, None)
        return found is not None
    return False


def _make_store_with_one_wrap(folder):
    (folder / settings_module.SETTINGS_FILE).write_text("[server]\ninsecure_loopback = true\n")
    uow = UnitOfWork(settings_module.load(folder, {}))
    schema.upgrade(uow.engine)
    uow.close()
    wrap = (1, "vrk", "a" * 32, "collection", "contact", 1, "b" * 32, b"sealed-box", "2026-11-22")
    with closing(sqlite3.connect(folder / "pds.db")) as database, database:
        database.execute(
            "INSERT INTO key_wraps (bucket, by_kind, by_id, wrapped_kind, wrapped_id,"
            " wrapped_version, vault_id, blob, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            wrap,
        )


def _run(path, script):
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.executescript(script)


def _wraps(path):
    with closing(sqlite3.connect(path)) as database:
        return database.execute("SELECT * FROM key_wraps").fetchall()
