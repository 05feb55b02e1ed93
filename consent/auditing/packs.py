"""Evidence packs: one file with deterministic bytes, for an auditor to take away (AUD-10, AUD-12).

    README.en.txt  README.az.txt
    bundle.json                    pds-bundle/1: what `pds verify` checks
    receipts/<id>.json             as signed, behind the bundle that has them
    records.jsonl  records.csv     the events found, by their place in the log
    notices/<sha256>.json          the texts that were shown
    keys/vkeys  keys/receipt-keys.json
    manifest.json                  pds-pack/1: every other file with its SHA-256, signed

Beyond `BUNDLE_ENTRIES` there are several bundles, `bundles/00001.json` and on, and it is a
pds-pack/2. The same filter on the same signed tree gives the same bytes: one order, one time for
all, nothing compressed, since compressors differ. The signature is of the key that signs receipts,
under a `typ` of its own. Files are written one after another; two bundles at most stand in memory.
"""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from importlib.resources import files
from itertools import islice
from typing import IO, Any
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import ColumnElement, and_, exists, func, select, tuple_
from sqlalchemy.orm import Session

from consent.auditing import search, streams
from consent.auditing.engagements import Scope
from consent.auditing.models import SearchableEvent
from consent.auditing.search import Found, Query
from consent.formats import jws
from consent.formats.bundle import Bundle, Hints
from consent.formats.canonical import JSONValue, canonical_bytes
from consent.formats.encoding import b64u
from consent.formats.pack import (
    BUNDLE,
    FORMAT,
    FORMAT_OF_MANY,
    MANIFEST,
    NOTICES,
    RECEIPTS,
    RECORDS,
    TYPE,
    bundle_name,
)
from consent.log import evidence
from consent.models import AgreementVersion, Event, Grant, Notice
from pds import spreadsheets
from pds.clock import rfc3339
from pds.errors import LimitExceededError

ENTRIES_MOST = 1_000_000  # of one pack, which is made while somebody waits
GRANT_ENTRIES_MOST = 50_000  # of one consent, which stands in one bundle, in memory
BUNDLE_ENTRIES = 4_000
_EPOCH = (1980, 1, 1, 0, 0, 0)
_MODE = 0o644 << 16
_UNIX = 3
_CHUNK = 500
_COLUMNS = (
    *("index", "time", "event", "organisation", "person", "agreement", "purpose"),
    *("collections", "outcome", "count", "channel", "entry"),
)


@dataclass(frozen=True, slots=True)
class Signing:
    """The key that signs manifests, and the keys that travel along."""

    key: Ed25519PrivateKey = field(repr=False)
    kid: str
    hints: Hints


@dataclass(frozen=True, slots=True)
class Written:
    """What was written: hash and length of the file, entries in its bundles, the checkpoint."""

    sha256: str
    length: int
    entries: int
    checkpoint: str


def write(
    session: Session,
    scope: Scope,
    query: Query,
    target: IO[bytes],
    *,
    asked: Mapping[str, JSONValue],
    signing: Signing,
    bom: bool = False,
) -> Written:
    """Write a pack to a file that can be read back.

    Args:
        session: of a read transaction.
        scope: of the engagement.
        query: by person, organisation, agreement or time; the rest narrows the records alone.
        target: an empty file, opened for reading and writing.
        asked: the query as it was understood, for the manifest.
        signing: keys.
        bom: for the CSV.

    Raises:
        LimitExceededError: more than `ENTRIES_MOST` entries would be in it, or more than
            `GRANT_ENTRIES_MOST` of one consent.
        NotFoundError: nothing is signed yet.
    """
    narrow = _narrowed(scope, query)
    chosen = _chosen(session, narrow, query)
    _refuse_too_many(session, narrow, chosen)
    bundles = evidence.build_bundles(
        session,
        streams.of_scope(session, narrow, *chosen, deployments=not chosen),
        most=BUNDLE_ENTRIES,
        until=narrow.until,
        hints=signing.hints,
    )
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as pack:
        listed = [_put(pack, name, [words]) for name, words in _readme()]
        begun = list(islice(bundles, 2))
        origin, checkpoint = begun[0].origin, begun[0].checkpoint
        is_of_many, entries = len(begun) > 1, 0
        for number, bundle in enumerate(_in_turn(begun, bundles), start=1):
            name = bundle_name(number) if is_of_many else BUNDLE
            entries += len(bundle.entries)
            listed += [_put(pack, *each) for each in _bundle_files(name, bundle)]
        parts = _files(session, narrow, query, chosen=chosen, hints=signing.hints, bom=bom)
        listed += [_put(pack, name, chunks) for name, chunks in parts]
        manifest: dict[str, JSONValue] = {
            "format": FORMAT_OF_MANY if is_of_many else FORMAT,
            "origin": origin,
            "checkpoint": checkpoint,
            "engagement": str(scope.engagement_id),
            "period": [rfc3339(narrow.since), rfc3339(narrow.until)],
            "filter": dict(asked),
            "files": list(listed),
        }
        if is_of_many:
            manifest["entries"] = entries
        signed = jws.sign(manifest, signing.key, kid=signing.kid, typ=TYPE)
        _put(pack, MANIFEST, [canonical_bytes(signed)])
    length = target.tell()
    target.seek(0)
    digest = hashlib.file_digest(target, "sha256").hexdigest()  # type: ignore[arg-type]  # any file
    target.seek(0)
    return Written(digest, length, entries, checkpoint)


def _narrowed(scope: Scope, query: Query) -> Scope:
    since = scope.since if query.since is None else max(scope.since, query.since)
    until = scope.until if query.until is None else min(scope.until, query.until)
    organisations = scope.organisations
    if query.organisation is not None:
        organisations = frozenset({query.organisation} if scope.covers(query.organisation) else ())
    return replace(scope, since=since, until=until, organisations=organisations)


def _chosen(session: Session, scope: Scope, query: Query) -> list[ColumnElement[bool]]:
    """Return what a grant must meet to be in the pack, beyond the engagement."""
    found: list[ColumnElement[bool]] = []
    if query.agreement is not None:
        found.append(Grant.agreement_id == query.agreement)
    if query.person is not None:
        vault = search.vault_of(session, scope, query.person)
        bucket, vault_id = vault or (0, UUID(int=0))
        found.append(and_(Grant.bucket == bucket, Grant.vault_id == vault_id))
    return found


def _refuse_too_many(session: Session, scope: Scope, chosen: list[ColumnElement[bool]]) -> None:
    in_pack = (scope.is_of(Grant.organisation_id), streams.happened(scope), *chosen)
    grants = select(Grant.id).where(*in_pack).scalar_subquery()
    some = (
        select(SearchableEvent.index)
        .where(SearchableEvent.grant_id.in_(grants), SearchableEvent.minute < scope.until)
        .limit(ENTRIES_MOST + 1)
        .subquery()
    )
    if session.execute(select(func.count()).select_from(some)).scalar_one() > ENTRIES_MOST:
        raise LimitExceededError(f"more than {ENTRIES_MOST} entries")
    # A stream goes from its beginning to the end of the period; what came after does not count.
    one_more = exists().where(
        Event.bucket == Grant.bucket,
        Event.stream == streams.stream_of_grant(),
        Event.seq == GRANT_ENTRIES_MOST + 1,
        Event.at < scope.until,
    )
    longest = select(Grant.id).where(*in_pack, Grant.seq > GRANT_ENTRIES_MOST, one_more)
    if session.execute(longest.limit(1)).first() is not None:
        raise LimitExceededError(f"more than {GRANT_ENTRIES_MOST} entries of one consent")


def _in_turn(begun: list[Bundle], rest: Iterator[Bundle]) -> Iterator[Bundle]:
    while begun:  # given away, so that none is held once it is written
        yield begun.pop(0)
    yield from rest


def _readme() -> Iterator[tuple[str, bytes]]:
    words = files("consent.auditing")
    yield "README.en.txt", words.joinpath("pack.en.txt").read_bytes()
    yield "README.az.txt", words.joinpath("pack.az.txt").read_bytes()


def _bundle_files(name: str, bundle: Bundle) -> Iterator[tuple[str, Iterable[bytes]]]:
    yield name, [bundle.to_bytes()]
    for receipt in bundle.receipts:
        issued = str(receipt["dct:identifier"]).rpartition(":")[2]
        yield f"{RECEIPTS}{issued}.json", [canonical_bytes(receipt)]


def _files(
    session: Session,
    scope: Scope,
    query: Query,
    *,
    chosen: list[ColumnElement[bool]],
    hints: Hints,
    bom: bool,
) -> Iterator[tuple[str, Iterable[bytes]]]:
    yield RECORDS, (_json_line(each) for each in _records(session, scope, query))
    rows = (_row(each) for each in _records(session, scope, query))
    yield "records.csv", spreadsheets.lines(_COLUMNS, rows, bom=bom)
    for sha256, document in _notices(session, scope, chosen):
        yield f"{NOTICES}{sha256}.json", [document]
    yield "keys/vkeys", ["\n".join([*hints.vkeys, ""]).encode()]
    yield "keys/receipt-keys.json", [canonical_bytes(_jwk_set(hints))]


def _put(pack: zipfile.ZipFile, name: str, chunks: Iterable[bytes]) -> dict[str, JSONValue]:
    info = zipfile.ZipInfo(name, _EPOCH)
    info.external_attr, info.create_system = _MODE, _UNIX
    digest, length = hashlib.sha256(), 0
    with pack.open(info, "w") as file:
        for chunk in chunks:
            file.write(chunk)
            digest.update(chunk)
            length += len(chunk)
    return {"name": name, "bytes": length, "sha256": digest.hexdigest()}


def _records(session: Session, scope: Scope, query: Query) -> Iterator[Found]:
    conditions = search.conditions(session, scope, query)
    last = -1
    while True:
        statement = (
            select(SearchableEvent)
            .where(*conditions, SearchableEvent.index > last)
            .order_by(SearchableEvent.index)
            .limit(_CHUNK)
        )
        rows = session.scalars(statement).all()
        yield from search.described(session, scope, rows)
        if len(rows) < _CHUNK:
            return
        last = rows[-1].index
        session.expunge_all()


def _json_line(event: Found) -> bytes:
    return canonical_bytes(event.to_dict()) + b"\n"


def _row(event: Found) -> list[object]:
    written: dict[str, Any] = event.to_dict()
    written["collections"] = " ".join(event.collections)
    return [written[name] for name in _COLUMNS]


def _notices(
    session: Session, scope: Scope, chosen: list[ColumnElement[bool]]
) -> Iterator[tuple[str, bytes]]:
    agreements = select(Grant.bucket, Grant.agreement_id).where(
        scope.is_of(Grant.organisation_id), *chosen
    )
    shown = select(AgreementVersion.notice_sha256).where(
        tuple_(AgreementVersion.bucket, AgreementVersion.agreement_id).in_(agreements),
        AgreementVersion.created_at < scope.until,
    )
    query = select(Notice.sha256, Notice.document).where(Notice.sha256.in_(shown))
    for found in session.execute(query.order_by(Notice.sha256)):
        yield found.sha256, found.document


def _jwk_set(hints: Hints) -> dict[str, JSONValue]:
    keys: list[JSONValue] = [
        {"kty": "OKP", "crv": "Ed25519", "use": "sig", "kid": kid, "x": b64u(key)}
        for kid, key in sorted(hints.receipt_keys.items())
    ]
    return {"keys": keys}
