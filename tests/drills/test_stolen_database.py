"""The claim: what is stored, anywhere, opens no record; each live secret alone does (TAK-53).

REL-R13, SEC-S21, SEC-S65, TAK-37, TAK-54: a whole story with values that occur nowhere else; then
everything that is on disk, in the logs and in the open is handed to someone who has read the code.
"""

from __future__ import annotations

import hashlib
import logging
import re
import subprocess
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from io import StringIO
from itertools import product

import pytest

from api.worker import Worker
from consent.grants import TokenBinding
from pds.crypto import labels
from pds.crypto.labels import derive
from pds.crypto.passphrase import Argon2Parameters, from_passphrase, from_recovery_code
from pds.crypto.sealed_box import Kind, open_box, unpad
from pds.crypto.secrets import parse
from pds.errors import DecryptionError
from pds.keys import VaultKeys, Wrapped, Wrapper
from pds.record_boxes import open_record, record_key
from pds.records import Draft
from tests.support import postgresql
from tests.support.attacker import Attacker, copy_tables
from tests.support.mailbox import Mailbox, confirmed, send_letters
from tests.support.oauth_client import ath
from tests.support.reading import page
from tests.support.serving import write_settings
from tests.support.stores import STORES
from tests.support.world import PASSPHRASE
from tests.support.worlds import TickingClock, world_on

CANARIES = {
    "email": "canary-email@example.com",
    "note": "canary-note",
    "given_name": "Canaryname",
    "national_id": "AZE98765432",
    "topic": "canary topic",
    "file name": "canary file.txt",
    "file content": "canary file content",
    "superseded": "canary superseded",
    "deleted": "canary-deleted@example.com",
    "deposited": "canary-deposit@example.com",
    "imported": "canary-import@example.com",
    "login": "canarylogin",
    "notice address": "canary-notice@example.com",
    "reference": "canary-reference-1",
    "reference opened": "canary-reference-2",
    "reference told": "canary-reference-3",
}
CARD = (
    "BEGIN:VCARD\r\nVERSION:4.0\r\nFN:Canary Imported\r\n"
    f"EMAIL:{CANARIES['imported']}\r\nNOTE:{CANARIES['note']}\r\nEND:VCARD\r\n"
)


@dataclass
class Story:
    """What was told, with every secret that lived in it."""

    world: object
    aysel: object
    reads: object
    proofs: list = field(repr=False)
    code: str = field(repr=False, default="")
    invitation: str = field(repr=False, default="")
    before_redeeming: dict = field(repr=False, default_factory=dict)
    log: str = field(repr=False, default="")

    def secrets(self):
        """Return every live or past secret, by name."""
        return {
            "passphrase": PASSPHRASE,
            "recovery code": self.aysel.recovery_code,
            "sign-in cookie": self.aysel.signed_in.text(),
            "unlock cookie": self.aysel.unlocked.text(),
            "access token": self.reads.access_token,
            "refresh token": self.reads.refresh_token,
            "code": self.code,
            "invitation": self.invitation,
        }

    def public(self):
        """Return what every proof shows: token hashes and key thumbprints."""
        client = self.reads.organisation.client
        return [ath(self.reads.access_token), client.dpop_key.thumbprint(), *self.proofs]


@contextmanager
def told(stores, kind):
    """Tell the whole story on a new store, with everything logged that any library logs."""
    with stores.migrated(kind) as store:
        write_settings(store.settings)
        with world_on(store, clock=TickingClock()) as world, _logged() as log:
            story = _tell(world)
            story.log = log.getvalue()
            yield story


@pytest.fixture(scope="module", params=STORES)
def story(request, stores):
    """Give a story that was told once; tests look at what is left of it, and change nothing."""
    with told(stores, request.param) as story:
        yield story


@pytest.fixture
def story_to_change(stores, store_kind):
    """Give a story of the test's own."""
    with told(stores, store_kind) as story:
        yield story


@contextmanager
def _logged():
    root, log = logging.getLogger(), StringIO()
    handler, level = logging.StreamHandler(log), root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        yield log
    finally:
        root.setLevel(level)
        root.removeHandler(handler)


def _tell(world):
    proofs = []
    world.http.send = _recording(world.http.send, proofs)
    aysel = world.person(CANARIES["login"])
    mailbox = confirmed(world.services, aysel, Mailbox(), CANARIES["notice address"])
    aysel.save("contact", email=CANARIES["email"])
    aysel.save("profile", given_name=CANARIES["given_name"])
    aysel.save("identity", national_id=CANARIES["national_id"])
    topic = aysel.save("interests", topic=CANARIES["superseded"])
    aysel.records.save(Draft("interests", {"topic": CANARIES["topic"]}, topic.id, 1))
    gone = aysel.save("contact", email=CANARIES["deleted"])
    aysel.records.delete(gone.id, version=1)
    attachments = world.services.attachments(aysel.visitor)
    upload = attachments.files.write(most_bytes=1_000_000)
    upload.write(CANARIES["file content"].encode() * 20_000)
    identity = aysel.records.all(["identity"])[0]
    attachments.add(identity, CANARIES["file name"], upload.finish())
    imports = world.services.imports(aysel.visitor)
    imports.advance(imports.stage("vcard", CARD.encode()))
    imports.stage("vcard", CARD.replace("Imported", "Staged").encode())

    shop = world.organisation()
    template = shop.publish(
        required=["contact.email"], optional=["profile.given_name"], actions=["read", "write"]
    )
    details = shop.details(template, actions=["read", "write"])
    request_uri, verifier = world.push(shop, details)
    callback = world.allow(aysel, world.open_request(aysel, shop, request_uri))
    before = copy_tables(world.services.uow)
    body = shop.client.redeem(callback["code"], verifier).json()
    link = shop.invite(template, CANARIES["reference"])["url"].rpartition("/")[2]
    for number in ("reference opened", "reference told"):
        invited = shop.invite(template, CANARIES[number])
        world.go_on(aysel, invited)
    ask = {"actions": ["read", "write"], "invitation": invited["id"]}
    reads = world.connect(aysel, shop, template, ask=ask)
    assert body["access_token"]
    story = Story(world, aysel, reads, proofs, callback["code"], link, before)
    page(reads)
    reads.get("/v1/records", params={"collection": "identity"})
    deposited = {"document_id": "1", "data": {"email": CANARIES["deposited"]}}
    assert reads.post("/v1/records/contact", deposited).status_code == 202
    with suppress(Exception):
        world.services.accounts.enter(CANARIES["login"], "wrong " + PASSPHRASE)
    bank = world.organisation("Bank")
    world.connect(aysel, bank, bank.publish(required=["profile.given_name"])).withdraw()
    # Out by the mailbox: a trial's worker would leave letters, with the address, in its folder.
    assert send_letters(world.services, mailbox).letters
    Worker(world.services).turn()
    return story


def _recording(send, proofs):
    def recorded(request, **kwargs):
        proofs.extend(request.headers.get_list("DPoP"))
        return send(request, **kwargs)

    return recorded


def everything_on_disk(story):
    """Return each file of the instance, and of the database, by name."""
    settings = story.world.store.settings
    found = {
        path.name: path.read_bytes() for path in settings.instance.rglob("*") if path.is_file()
    }
    if story.world.store.kind == "postgresql":
        dump = postgresql.binaries() / "pg_dump"
        url = settings.database.url
        found["dump.sql"] = subprocess.run(  # noqa: S603 - our own arguments
            [dump, "--inserts", url], check=True, capture_output=True
        ).stdout
    return found


def spellings(text):
    """Return the ways a value may stand in a file."""
    raw = text.encode()
    return {raw, raw.hex().encode(), text.encode("utf-16-le"), raw.upper(), raw.lower()}


def test_no_value_and_no_secret_stands_in_any_file_or_log(story):
    """P-20, SEC-S65, TAK-37, TAK-51."""
    files = everything_on_disk(story)
    files["log"] = story.log.encode()
    assert len(files) > 4
    assert str(story.world.issuer) in story.log, "where is the log?"
    assert any(len(content) > 100_000 for content in files.values()), "where is the database?"
    wanted = dict(CANARIES)
    for name, text in story.secrets().items():
        wanted[name] = text
        # Of a token also its parts: the random half alone would do.
        if text.startswith("pds_"):
            secret = parse(text, "ac", "at", "rt", "s", "u", "iv")
            wanted[f"{name}, its secret"] = secret.secret.hex()
            wanted[f"{name}, its body"] = text.split(".")[1]

    found = [
        (name, file)
        for (name, text), (file, content) in product(wanted.items(), files.items())
        if any(spelling in content for spelling in spellings(text))
    ]
    raw = [
        (name, file)
        for (name, text), (file, content) in product(story.secrets().items(), files.items())
        if text.startswith("pds_")
        and parse(text, "ac", "at", "rt", "s", "u", "iv").secret in content
    ]

    assert found == []
    assert raw == []


def test_the_search_would_find_what_is_there(story):
    """Without this the test above would prove nothing."""
    files = everything_on_disk(story)
    database = files.get("dump.sql") or files["pds.db"] + files["pds.db-wal"]

    for text in ("Loyalty card", str(story.reads.agreement_id), "contact.email"):
        assert any(spelling in database for spelling in spellings(text)), text


def test_no_hash_of_a_token_is_kept_anywhere(story):
    """TAK-29, TAK-30: it is in every proof."""
    for name, text in story.secrets().items():
        digest = hashlib.sha256(text.encode()).digest()
        for file, content in everything_on_disk(story).items():
            for spelling in (digest, digest.hex().encode()):
                assert spelling not in content, (name, file)


MOST_BYTES = 4_096
"""Of each value; the chunks of a file are longer, and one part of them is like another."""


def stored_material(story):
    """Return everything of key length in tables, files and in the open."""
    tables = copy_tables(story.world.services.uow)
    found = set()
    for rows in tables.values():
        for row in rows:
            for value in row.values():
                if isinstance(value, bytes):
                    ends = range(0, min(len(value), MOST_BYTES), 8)
                    found |= {value} | {value[n : n + 32] for n in ends}
                elif isinstance(value, str):
                    found |= {m.encode() for m in re.findall(r"[A-Za-z0-9_-]{20,64}", value)}
    for content in everything_on_disk(story).values():
        found |= set(re.findall(rb"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])", content))
    found |= {text.encode() for text in story.public()}
    return tables, found


def as_keys(material):
    """Return 32-byte keys that someone might make of stored bytes."""
    keys = set()
    for one in material:
        keys.add(hashlib.sha256(one).digest())
        if len(one) == 32:
            keys.add(one)
        with suppress(ValueError):
            keys.add(bytes.fromhex(one.decode("ascii")))
    return {key for key in keys if len(key) == 32}


def test_nothing_that_is_stored_or_public_opens_a_wrap_or_a_record(story):
    """TAK-53: each stored value as a key, and what the code derives from it."""
    tables, material = stored_material(story)
    keys = as_keys(material)
    derivable = [
        value for name, value in vars(labels).items() if name.isupper() and isinstance(value, bytes)
    ]
    config = [bytes.fromhex(path.read_text()) for path in _key_files(story)]
    keys |= set(config) | {derive(key, label) for key in config for label in derivable}
    keys |= {derive(key, label) for key in sorted(keys)[:100] for label in derivable}
    assert len(keys) > 1_000
    spy = Attacker(tables, story.world.services.keys.deployment)

    assert _opened_wraps(spy, keys) == []
    assert _opened_records(spy, keys) == []
    assert _opened_references(spy, keys) == []


def test_the_same_attempts_succeed_with_a_key_that_fits(story):
    """Without this the test above would prove nothing."""
    tables, _ = stored_material(story)
    spy = Attacker(tables, story.world.services.keys.deployment)
    open_vault = story.aysel.visitor.open_vault

    assert _opened_wraps(spy, {open_vault.vrk})
    collection_key = open_vault.key("collection", "contact", 1)
    assert _opened_records(spy, {record_key(collection_key)})
    by_link = parse(story.invitation, "iv").kek()
    by_vault = derive(open_vault.vrk, labels.VAULT_INVITATIONS)
    assert _opened_references(spy, {by_link, by_vault}) == [
        CANARIES["reference"],
        CANARIES["reference opened"],
    ]


def _key_files(story):
    folder = story.world.store.settings.instance
    return [*folder.glob("*.key"), *folder.glob("pepper.*")]


def _opened_wraps(spy, keys):
    sample = {}
    for row in spy.tables["key_wraps"]:
        sample.setdefault((row["by_kind"], row["wrapped_kind"]), row)
    opened = []
    for kinds, row in sample.items():
        vault = VaultKeys(spy.deployment, row["bucket"], row["vault_id"])
        wrapped = Wrapped(row["wrapped_kind"], row["wrapped_id"], row["wrapped_version"])
        by = Wrapper(row["by_kind"], row["by_id"], _binding(spy, row))
        for key in keys:
            with suppress(DecryptionError):
                vault.unwrap(key, row["blob"], by=by, wrapped=wrapped)
                opened.append(kinds)
    return opened


def _binding(spy, wrap):
    if wrap["by_kind"] == "unlock":
        return (spy._row("unlocks", selector=wrap["by_id"])["sign_in"].bytes,)
    if wrap["by_kind"] != "token":
        return ()
    row = spy._row("tokens", selector=wrap["by_id"])
    binding = TokenBinding(
        row["kind"],
        row["selector"],
        row["grant_id"],
        row["client_id"],
        row["jkt"] or "",
        row["expires_at"],
    )
    return binding.wrapper().binding


def _opened_records(spy, keys):
    opened = []
    for row in spy.tables["records"][:4]:
        context = spy.context(row)
        for key in keys:
            for candidate in (key, record_key(key)):
                with suppress(DecryptionError):
                    open_record(candidate, row["box"], context)
                    opened.append(row["id"])
    return opened


def _opened_references(spy, keys):
    """Try every invitation: what its link or its vault is the context of."""
    boxes = [
        (row["reference_box"], row["id"], row["organisation_id"])
        for row in spy.tables["invitations"]
        if row["reference_box"] is not None
    ]
    boxes += [
        (row["reference_box"], row["invitation_id"], row["vault_id"])
        for row in spy.tables["opened_invitations"]
    ]
    assert len(boxes) == 2
    opened = []
    for (box, invitation_id, holder), key in product(boxes, keys):
        fields = (b"invitation", spy.deployment, invitation_id.bytes, holder.bytes)
        with suppress(DecryptionError):
            opened.append(unpad(open_box(key, box, kind=Kind.REFERENCE, fields=fields)).decode())
    return opened


def flat(opened):
    """Return the values of opened records, sorted."""
    return sorted({str(value) for data in opened for value in data.values()})


@pytest.fixture
def thief(story):
    """Give someone with a copy of the tables and the deployment's id."""
    return Attacker(copy_tables(story.world.services.uow), story.world.services.keys.deployment)


def account(story, thief):
    return thief._row("accounts", vault_id=story.aysel.vault_id)


def everything(opened):
    names = ("email", "given_name", "national_id", "topic")
    return {CANARIES[name] for name in names} <= set(flat(opened))


def test_the_passphrase_opens_all_with_the_pepper_and_nothing_without(story, thief):
    """TAK-16, TAK-11: the database alone confirms no guess, not even the right one."""
    row = account(story, thief)

    def opened_with(pepper):
        keys = from_passphrase(
            PASSPHRASE,
            salt=row["passphrase_salt"],
            parameters=Argon2Parameters.decoded(row["argon2"]),
            pepper=pepper,
            account=row["vault_id"].bytes,
        )
        matches = keys.verifier == row["passphrase_verifier"]
        vault = row["vault_id"]
        return matches, thief.with_root_secret(vault, "passphrase", vault, keys.kek)

    matches, opened = opened_with(story.world.services.keys.peppers[1])
    assert matches
    assert everything(opened)
    assert opened_with(bytes(32)) == (False, [])


def test_the_recovery_code_opens_all(story, thief):
    """TAK-11."""
    row = account(story, thief)
    keys = from_recovery_code(story.aysel.recovery_code, account=row["vault_id"].bytes)
    vault = row["vault_id"]

    assert everything(thief.with_root_secret(vault, "recovery", vault, keys.kek))


def test_the_unlock_cookie_opens_all_and_the_sign_in_cookie_nothing(story, thief):
    """P-15, TAK-48."""
    aysel = story.aysel
    unlocked, signed_in = aysel.unlocked, aysel.signed_in
    binding = (signed_in.selector.bytes,)
    vault = aysel.vault_id

    opened = thief.with_root_secret(vault, "unlock", unlocked.selector, unlocked.kek(), binding)
    assert everything(opened)
    for selector in (unlocked.selector, signed_in.selector):
        for bound in (binding, ()):
            opened = thief.with_root_secret(vault, "unlock", selector, signed_in.kek(), bound)
            assert opened == []


def test_access_and_refresh_token_open_the_collections_of_their_consent_alone(story, thief):
    """TAK-12, P-21: and of those collections all, which the threat model says."""
    for text in (story.reads.access_token, story.reads.refresh_token):
        opened = flat(thief.with_token(text))
        assert CANARIES["email"] in opened
        assert not {CANARIES[name] for name in ("given_name", "national_id", "topic")} & {*opened}
        assert CANARIES["superseded"] not in opened


def test_a_code_opens_until_it_is_redeemed_and_nothing_afterwards(story, thief):
    """TAK-40."""
    earlier = Attacker(story.before_redeeming, thief.deployment)

    assert CANARIES["email"] in flat(earlier.with_token(story.code))
    assert thief.with_token(story.code) == []


def test_after_a_withdrawal_its_wraps_are_in_no_file(story_to_change):
    """TAK-54, SEC-S61: deleted wraps are overwritten, also in free pages and in the WAL."""
    story = story_to_change
    tables = copy_tables(story.world.services.uow)
    grant_id = next(
        row["id"] for row in tables["grants"] if str(row["id"]) == story.reads.body["grant_id"]
    )
    wraps = [
        row["blob"]
        for row in tables["key_wraps"]
        if row["by_id"] == grant_id
        or (row["wrapped_id"] == str(grant_id) and row["by_kind"] == "token")
    ]
    assert len(wraps) >= 3
    if story.world.store.kind == "postgresql":
        # Dead tuples stay in PostgreSQL's files until it vacuums: documented (TAK-55).
        story.reads.withdraw()
        left = [row["blob"] for row in copy_tables(story.world.services.uow)["key_wraps"]]
        assert not {*wraps} & {*left}
        return
    story.reads.withdraw()
    with story.world.services.uow.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")

    for path in story.world.store.settings.instance.glob("pds.db*"):
        content = path.read_bytes()
        assert not any(blob in content for blob in wraps), path.name
