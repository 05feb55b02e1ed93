"""A vault taken along by its owner: what it holds, with receipts and proofs, logged first (D9)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from api import evidence
from api.wiring import Wiring
from consent import receipts
from consent.models import Receipt
from consent.vocabulary import EventName
from pds.catalogue import CATALOGUE
from pds.clock import rfc3339
from pds.errors import NotFoundError
from pds.events import VaultEvent
from pds.exporting import FORMAT, MEDIA_TYPE
from pds.exporting.contents import Contents
from pds.exporting.zipping import Member, zipped
from pds.sealed_files import files_count, storage_used
from pds.sessions import Visitor

# What a receipt with its proof takes up, and what every archive holds besides, in bytes.
_RECEIPT_BYTES, _FRAME_BYTES = 8_192, 65_536
_RECEIPTS = 200  # that are read at once
_README = """\
{issuer}, {at}

AZ
Bu arxivdə şəxsi məlumat arxivinizdəki hər şey var. Şifrələnməyib: onu etibarlı yerdə saxlayın.

  records/    bütün qeydlər, hər sətirdə biri (JSON Lines); schemas/ onların quruluşunu izah edir
  history/    qeydlərin əvvəlki variantları
  files/      qeydlərə əlavə etdiyiniz fayllar
  tables/     eyni qeydlər cədvəl proqramları üçün (CSV)
  contacts/, calendar/, bookmarks/    başqa proqramlar üçün (vCard, iCalendar, HTML)
  receipts/   razılıqlarınızın qəbzləri və sübutları; yoxlamaq üçün:
              pds verify receipts/QƏBZ.json --receipt-key keys/receipt-keys.json
  manifest.json    hər faylın SHA-256 cəmi

Başqa yerdəki arxivə köçürmək üçün orada «Fayldan yüklə» səhifəsində bu faylı seçin. Razılıqlar
köçmür: onlar burada, müəssisələrə verilib. Qəbzləri isə sizdə sübut kimi qalır.

EN
This archive holds everything of your personal data store. It is not encrypted: keep it safe.

  records/    every record, one a line (JSON Lines); schemas/ tells how they are built
  history/    earlier versions of records
  files/      the files that you added to records
  tables/     the same records for spreadsheets (CSV)
  contacts/, calendar/, bookmarks/    for other programs (vCard, iCalendar, HTML)
  receipts/   receipts of your consents, with their proofs; to check one:
              pds verify receipts/RECEIPT.json --receipt-key keys/receipt-keys.json
  manifest.json    the SHA-256 of every file

To bring it into a store elsewhere, choose this file on its page "Import". Consents do not move:
they were given here, to organisations. Their receipts stay yours, as proof.
"""


@dataclass(frozen=True, slots=True)
class Outlook:
    """What an archive would hold now; how long it becomes is known only once it is made."""

    records: int
    files: int
    receipts: int
    most_bytes: int  # it becomes no longer, or hardly: sealed and padded data packs well


def outlook(services: Wiring, visitor: Visitor) -> Outlook:
    """Return what an archive would hold, in a few statements."""
    vault = visitor.vault
    with services.uow.read() as session:
        used = storage_used(session, vault)
        files = files_count(session, vault)
        issued = receipts.count(session, vault.bucket, vault.id)
    records = sum(services.records(visitor).counts().values())
    most = used.total_bytes + issued * _RECEIPT_BYTES + _FRAME_BYTES
    return Outlook(records, files, issued, most)


def begin(services: Wiring, visitor: Visitor, locale: str) -> Iterator[bytes]:
    """Log that everything is taken along; return the archive, which is made as it is read.

    Raises:
        VaultLockedError: they are signed in, not unlocked.
    """
    now = services.clock.now()
    contents = Contents(services.records(visitor), services.attachments(visitor), locale)
    event = VaultEvent(EventName.VAULT_EXPORTED, now, count=sum(contents.records.counts().values()))
    services.uow.write(lambda session: services.sink.append(session, visitor.vault, event))
    manifest = {
        "format": FORMAT,
        "issuer": services.settings.server.issuer,
        "exported_at": rfc3339(now),
        "catalogue_sha256": CATALOGUE.sha256,
        "records": contents.counts,
    }
    return zipped(_members(services, visitor, contents, rfc3339(now)), manifest, at=now)


def _members(services: Wiring, visitor: Visitor, contents: Contents, at: str) -> Iterator[Member]:
    yield Member("mimetype", [MEDIA_TYPE.encode()], is_packed=False)
    readme = _README.format(issuer=services.settings.server.issuer, at=at)
    yield Member("README.txt", [readme.encode()])
    yield from contents.members()
    for row in _receipts(services, visitor):
        yield Member(f"receipts/{row.id}.json", [row.document])
        proof = _proof(services, visitor, row)
        if proof is not None:
            yield Member(f"receipts/{row.id}.tlog-proof", [proof.encode()])
    yield from _keys(services)


def _receipts(services: Wiring, visitor: Visitor) -> Iterator[Receipt]:
    vault, after = visitor.vault, None
    while True:
        with services.uow.read() as session:
            found = receipts.of_vault(session, vault.bucket, vault.id, limit=_RECEIPTS, after=after)
        yield from found
        if len(found) < _RECEIPTS:
            return
        after = found[-1]


def _proof(services: Wiring, visitor: Visitor, row: Receipt) -> str | None:
    try:
        return evidence.proof_of_receipt(services, visitor, row)
    except NotFoundError:
        return None


def _keys(services: Wiring) -> Iterator[Member]:
    """Yield the keys to check by; whoever has them from elsewhere trusts those (P-34)."""
    yield Member("keys/log.vkey", [f"{services.log_signer.verifier.to_text()}\n".encode()])
    yield Member("keys/receipt-keys.json", [services.receipts.jwks()])
