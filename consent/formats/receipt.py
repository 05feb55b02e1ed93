"""The consent receipt: ISO/IEC TS 27560 in DPV 2.3 terms, as JSON-LD, signed (CM-16 to CM-19).

One receipt tells of one consent and its history up to one event, which the log holds under the
cited (stream, seq); its inclusion proof comes later, as a tlog-proof beside it. A receipt is never
changed: the next event makes another one. Keys without prefix are ours. docs/spec/receipt.md has an
example and the rules.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from consent.formats import dpv_terms, fields, jws
from consent.formats.canonical import JSONValue
from consent.formats.errors import MalformedError
from consent.formats.receipt_facts import (
    LogCitation,
    Obligation,
    Process,
    ReceiptFacts,
    ReceiptKind,
    Status,
)
from consent.formats.receipt_shape import CONTEXT, PAUSED_TERM, RECEIPT, SCHEMA, STATUS_TERMS

TYPE = "pds-consent-receipt"

_CHANGES = frozenset({ReceiptKind.CHANGED, ReceiptKind.RENEWED})
_PERMITTING = frozenset(
    {ReceiptKind.GIVEN, ReceiptKind.CHANGED, ReceiptKind.RENEWED, ReceiptKind.RESUMED}
)


@dataclass(frozen=True, slots=True)
class Citation:
    """What a receipt says that the log can confirm."""

    receipt_id: str
    kind: ReceiptKind
    agreement_sha256: str | None
    log: LogCitation
    obligations: tuple[Obligation, ...] = ()


def build(facts: ReceiptFacts) -> dict[str, JSONValue]:
    """Return the unsigned receipt.

    Raises:
        MalformedError: a mandatory field is empty, a term is not DPV's, the pseudonym is none, the
            notice was shown after the decision, or the history is out of order.
    """
    if not facts.statuses:
        raise MalformedError("a receipt needs a status")
    receipt: dict[str, JSONValue] = {
        "@context": dict(CONTEXT),
        "@type": "dpv:ConsentReceipt",
        "dct:conformsTo": f"{SCHEMA}#receipt",
        "dct:identifier": f"urn:uuid:{facts.receipt_id}",
        "dct:created": facts.created_at,
        "dct:publisher": facts.publisher,
        "schema:recipient": "dpv:DataSubject",
        "kind": facts.statuses[-1].kind.value,
        "log": {"origin": facts.log.origin, "stream": facts.log.stream, "seq": facts.log.seq},
        "dpv:hasRecordOfActivity": [_record(facts)],
    }
    check(receipt)
    return receipt


def sign(
    receipt: Mapping[str, JSONValue], key: Ed25519PrivateKey, kid: str
) -> dict[str, JSONValue]:
    """Return the receipt with its proof; `kid` names the key.

    Raises:
        MalformedError: it is no receipt, or is signed already.
    """
    signed = jws.sign(receipt, key, kid=kid, typ=TYPE)
    check(receipt)
    return signed


def verify(receipt: object, keys: Mapping[str, bytes]) -> None:
    """Check a signed receipt: signature, form and terms. The log is for `verify.verify_receipt`.

    Args:
        receipt: what `sign` returned.
        keys: 32-byte Ed25519 public keys by key id, from a source that the caller trusts.

    Raises:
        MalformedError: it is no signed receipt.
        VerificationError: its key is not among `keys`, or the signature is wrong.
    """
    check(jws.verify(receipt, keys, typ=TYPE))


def check(receipt: object) -> None:
    """Check the form of an unsigned receipt: members, terms, and their order in time.

    Raises:
        MalformedError: the form is broken; the message says where.
    """
    RECEIPT(receipt, "receipt")
    for term in _texts(receipt):
        if not dpv_terms.is_known(term):
            raise MalformedError(f"receipt: {term!r} is no DPV term that a receipt may use")
    document = fields.mapping(receipt, "receipt")
    record = _only_record(document)
    statuses = [fields.mapping(each, "status") for each in _array(record["dpv:hasConsentStatus"])]
    _check_history(statuses)
    agreement = fields.mapping(record["agreement"], "agreement")
    last = (_array(statuses[-1]["@type"])[0], agreement["contract_status"])
    if last not in _endings(ReceiptKind(str(document["kind"]))):
        raise MalformedError("receipt: the last status is not of the receipt's kind")
    # 27560 level B: the notice comes before the decision that was made on it.
    notice = fields.mapping(record["dpv:hasNotice"], "notice")
    decided = [each for each in statuses if each["dpv:hasDuration"] is not None] or statuses[:1]
    if str(notice["dct:date"]) > str(decided[-1]["dpv:isIndicatedAtTime"]):
        raise MalformedError("receipt: the notice was shown after the decision")


def citation(receipt: object) -> Citation:
    """Return what a receipt, signed or not, cites; nothing is verified but the form.

    Raises:
        MalformedError: it is no receipt.
    """
    document = fields.mapping(receipt, "receipt")
    document = {name: value for name, value in document.items() if name != jws.PROOF}
    check(document)
    log = fields.mapping(document["log"], "log")
    agreement = fields.mapping(_only_record(document)["agreement"], "agreement")
    return Citation(
        receipt_id=str(document["dct:identifier"]),
        kind=ReceiptKind(str(document["kind"])),
        agreement_sha256=fields.optional(fields.digest, agreement["sha256"], "agreement.sha256"),
        log=LogCitation(
            origin=str(log["origin"]),
            stream=str(log["stream"]),
            seq=fields.integer(log["seq"], "log.seq", least=1),
        ),
        obligations=fields.each(_obligation, _only_record(document)["obligations"], "obligations"),
    )


def _obligation(value: object, where: str) -> Obligation:
    found = fields.mapping(value, where)
    names = ("kind", "due_at", "state")
    return Obligation(**{name: fields.text(found[name], f"{where}.{name}") for name in names})


def _record(facts: ReceiptFacts) -> dict[str, JSONValue]:
    return {
        "@type": "dpv:ConsentRecord",
        "dct:conformsTo": f"{SCHEMA}#record",
        "dct:identifier": f"urn:uuid:{facts.record_id}",
        "dpv:hasDataSubject": {"dct:identifier": facts.data_subject},
        "dpv:hasNotice": {
            "@type": "dpv:ConsentNotice",
            "@id": facts.notice.url,
            "dct:language": facts.notice.language,
            "dct:date": facts.notice.shown_at,
            "sha256": facts.notice.sha256,
        },
        "dpv:hasDataController": {
            "party_id": facts.controller.id,
            "party_name": facts.controller.name,
            "party_address": facts.controller.address,
            "dpv:hasContact": facts.controller.contact,
        },
        "dpv:hasJurisdiction": f"loc:{facts.jurisdiction}",
        "dpv:hasApplicableLaw": facts.applicable_law,
        "dpv:hasProcess": [_process(process) for process in facts.processes],
        "dpv:hasConsentControl": {
            "@type": "dpv:WithdrawConsent",
            "dpv:isExercisedAt": facts.withdraw_at,
        },
        "dpv:hasRight": list(facts.rights),
        "dpv:hasAuthority": facts.authority,
        "dpv:hasConsentStatus": [_status(status) for status in facts.statuses],
        "agreement": {
            "id": facts.agreement.id,
            "version": facts.agreement.version,
            "sha256": facts.agreement.sha256,
            "template_sha256": facts.agreement.template_sha256,
            "supersedes": facts.agreement.supersedes,
            "contract_status": STATUS_TERMS[facts.statuses[-1].kind][1],
        },
        "grant_ids": list(facts.grant_ids),
        "denied_attributes": list(facts.denied_attributes),
        "obligations": [
            {"kind": each.kind, "due_at": each.due_at, "state": each.state}
            for each in facts.obligations
        ],
    }


def _process(process: Process) -> dict[str, JSONValue]:
    access = process.access
    return {
        "dpv:hasPurpose": process.purpose,
        "purpose_text": process.purpose_text,
        "dpv:hasLegalBasis": process.legal_basis,
        "dpv:hasPersonalData": [
            {
                "pii_type": item.kind,
                "attribute_id": item.attribute,
                "dpv:hasNecessity": "dpv:Required" if item.required else "dpv:Optional",
                "transform": item.transform,
            }
            for item in process.personal_data
        ],
        "dpv:hasRecipient": list(process.recipients),
        "dpv:hasStorageCondition": [
            {"@type": "dpv:StorageLocation", "dpv:hasLocation": process.storage_location},
            {"@type": "dpv:StorageDuration", "dpv:hasDuration": process.storage_duration},
        ],
        "access": {
            "mode": access.mode,
            "fetch": access.fetch,
            "frequency": access.frequency,
            "data_range": [access.data_from, access.data_to],
        },
    }


def _status(status: Status) -> dict[str, JSONValue]:
    rests = status.is_paused and status.kind in _CHANGES
    types: list[JSONValue] = [PAUSED_TERM if rests else STATUS_TERMS[status.kind][0]]
    if status.kind in _PERMITTING and not rests:
        types.append("dpv:ExpressedConsent")
    duration: JSONValue = None
    if status.duration is not None:
        duration = {"@type": "dpv:TemporalDuration", "rdf:value": status.duration}
    return {
        "seq": status.seq,
        "@type": types,
        "dpv:isIndicatedAtTime": status.at,
        "dpv:hasDuration": duration,
        "dpv:isIndicatedBy": status.indicated_by,
        "dpv:hasIndicationMethod": status.method,
    }


def _endings(kind: ReceiptKind) -> list[tuple[str, str]]:
    consent, contract = STATUS_TERMS[kind]
    # Terms may change while processing rests: the contract is another, the pause goes on.
    return [(consent, contract), *([(PAUSED_TERM, contract)] if kind in _CHANGES else [])]


def _check_history(statuses: list[dict[str, JSONValue]]) -> None:
    if [status["seq"] for status in statuses] != list(range(1, len(statuses) + 1)):
        raise MalformedError("receipt: the statuses are not numbered from 1")
    times = [str(status["dpv:isIndicatedAtTime"]) for status in statuses]
    if times != sorted(times):
        raise MalformedError("receipt: the statuses are not in order of time")


def _only_record(document: Mapping[str, JSONValue]) -> dict[str, JSONValue]:
    return fields.mapping(_array(document["dpv:hasRecordOfActivity"])[0], "record")


def _array(value: JSONValue) -> list[JSONValue]:
    return fields.items(value, "receipt")


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield name
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)
    elif isinstance(value, str):
        yield value
