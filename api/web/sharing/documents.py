"""Texts that were shown or given: notices, for whoever has the hash; receipts, for their owner."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import Blueprint, Response, request
from flask.typing import ResponseReturnValue

from api import evidence
from api.web import guards, pages
from api.web.clusters import clusters_of
from api.wiring import wiring
from consent import connections, receipts
from consent.formats import canonical
from consent.models import Receipt
from pds.catalogue import CATALOGUE, Attribute, Cluster
from pds.clock import from_rfc3339
from pds.errors import NotFoundError
from pds.sessions import Visitor

blueprint = Blueprint("documents", __name__)

_HASH_CHARACTERS = 64


@blueprint.get("/notices/<sha256>")
def notice(sha256: str) -> ResponseReturnValue:
    """Show the text that stood on a consent page, word for word (P-28)."""
    if len(sha256) != _HASH_CHARACTERS:
        raise NotFoundError
    with wiring().uow.read() as session:
        document = connections.notice(session, sha256)
    if request.args.get("format") == "json":
        return _json(canonical.canonical_bytes(document), f"notice-{sha256[:16]}.json")
    return pages.page(
        "sharing/notice.html",
        notice=document,
        sha256=sha256,
        required=_grouped(document, "required"),
        optional=_grouped(document, "optional"),
        kinds=CATALOGUE.collections,
    )


@blueprint.get("/receipts")
@guards.signed_in
def all_receipts(visitor: Visitor) -> ResponseReturnValue:
    """List a person's receipts."""
    with wiring().uow.read() as session:
        found = receipts.of_vault(session, visitor.vault.bucket, visitor.vault.id)
    return pages.page("sharing/receipts.html", receipts=[(row, _record(row)) for row in found])


@blueprint.get("/receipts/<uuid:receipt_id>")
@guards.signed_in
def receipt(visitor: Visitor, receipt_id: UUID) -> ResponseReturnValue:
    """Show a receipt in words, or give the signed document itself (CUX-24, CUX-33)."""
    with wiring().uow.read() as session:
        row = receipts.get(session, visitor.vault.bucket, visitor.vault.id, receipt_id)
    if request.args.get("format") == "json":
        return _json(row.document, f"receipt-{receipt_id}.json")
    try:
        is_proved = evidence.proof_of_receipt(wiring(), visitor, row) is not None
    except NotFoundError:
        is_proved = False
    document: Any = canonical.parse(row.document)
    record = document["dpv:hasRecordOfActivity"][0]
    process = record["dpv:hasProcess"][0]
    names = [item["attribute_id"] for item in process["dpv:hasPersonalData"]]
    return pages.page(
        "sharing/receipt.html",
        receipt=document,
        record=record,
        process=process,
        row=row,
        is_proved=is_proved,
        shared=clusters_of(names) if row.agreement_id else [],
        denied=clusters_of(record["denied_attributes"]),
        statuses=[
            (each, from_rfc3339(each["dpv:isIndicatedAtTime"]))
            for each in record["dpv:hasConsentStatus"]
        ],
        obligations=[(each, from_rfc3339(each["due_at"])) for each in record["obligations"]],
    )


@blueprint.get("/receipts/<uuid:receipt_id>/proof")
@guards.signed_in
def receipt_proof(visitor: Visitor, receipt_id: UUID) -> ResponseReturnValue:
    """Give the proof that a receipt's entry is in the log, a tlog-proof for `pds verify`."""
    with wiring().uow.read() as session:
        row = receipts.get(session, visitor.vault.bucket, visitor.vault.id, receipt_id)
    proof = evidence.proof_of_receipt(wiring(), visitor, row)
    if proof is None:
        raise NotFoundError
    response = Response(proof, content_type="text/plain; charset=utf-8")
    filename = f"receipt-{receipt_id}.tlog-proof"
    response.headers["Content-Disposition"] = f'attachment; filename="{filename}"'
    return response


def _record(row: Receipt) -> dict[str, Any]:
    document: Any = canonical.parse(row.document)
    found: dict[str, Any] = document["dpv:hasRecordOfActivity"][0]
    return found


def _grouped(
    document: dict[str, Any], member: str
) -> list[tuple[Cluster, list[tuple[Attribute, dict[str, Any]]]]]:
    """Return what was asked by cluster; a notice of the first format offers no coarser forms."""
    items = {item["name"]: item for item in document[member]}
    return [
        (cluster, [(attribute, items[attribute.qualified_name]) for attribute in attributes])
        for cluster, attributes in clusters_of(items)
    ]


def _json(content: bytes, filename: str) -> Response:
    response = Response(content, mimetype="application/json")
    response.headers["Content-Disposition"] = f'attachment; filename="{filename}"'
    return response
