"""The form of a consent receipt, member by member; `receipt` writes it, and nothing else may stand.

Mandatory 27560 fields are those that may not be null or empty here. There is no free member in
which a personal value could travel (CM-17).
"""

from __future__ import annotations

from collections.abc import Mapping

from consent.formats import fields
from consent.formats.canonical import JSONValue
from consent.formats.receipt_facts import ReceiptKind
from consent.formats.shapes import array_of, list_of, matching, nullable, one_of, positive, shape

SCHEMA = "https://w3id.org/dpv/schema/dpv-27560"
CONTEXT: Mapping[str, JSONValue] = {
    "@vocab": "urn:pds:receipt:1#",
    "dct": "http://purl.org/dc/terms/",
    "dpv": "https://w3id.org/dpv#",
    "loc": "https://w3id.org/dpv/loc#",
    "pd": "https://w3id.org/dpv/pd#",
    "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
    "schema": "https://schema.org/",
}
# DPV has no consent status for a pause; the class says that nothing may be processed.
PAUSED_TERM = "dpv:ConsentStatusInvalidForProcessing"
# Kind: DPV status of the consent, DPV status of the contract (CM-1, CM-14).
STATUS_TERMS: Mapping[ReceiptKind, tuple[str, str]] = {
    ReceiptKind.GIVEN: ("dpv:ConsentGiven", "dpv:ContractActive"),
    ReceiptKind.CHANGED: ("dpv:ConsentGiven", "dpv:ContractAmended"),
    ReceiptKind.RENEWED: ("dpv:RenewedConsentGiven", "dpv:ContractRenewed"),
    ReceiptKind.PAUSED: (PAUSED_TERM, "dpv:ContractTemporarilySuspended"),
    ReceiptKind.RESUMED: ("dpv:ConsentGiven", "dpv:ContractActive"),
    ReceiptKind.REFUSED: ("dpv:ConsentRefused", "dpv:ContractRejected"),
    ReceiptKind.DEFERRED: ("dpv:ConsentRequestDeferred", "dpv:ContractOffered"),
    ReceiptKind.WITHDRAWN: ("dpv:ConsentWithdrawn", "dpv:ContractTerminated"),
    ReceiptKind.EXPIRED: ("dpv:ConsentExpired", "dpv:ContractExpired"),
    ReceiptKind.TERMINATED: ("dpv:ConsentRevoked", "dpv:ContractTerminated"),
    ReceiptKind.INVALIDATED: ("dpv:ConsentInvalidated", "dpv:ContractTerminated"),
    ReceiptKind.FULFILLED: ("dpv:ConsentExpired", "dpv:ContractFulfilled"),
}

_HEX = "[0-9a-f]"
_URN_UUID = matching(
    f"urn:uuid:{_HEX}{{8}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{12}}", "a urn:uuid"
)
# No room for an address, and hardly for a name.
_PSEUDONYM = matching(r"[A-Za-z0-9:._-]{8,128}", "a pairwise pseudonym")
_DURATION = matching(r"P(?=[0-9T])([0-9]+Y)?([0-9]+M)?([0-9]+W)?([0-9]+D)?(T[0-9HMS]+)?", "P…")
_ATTRIBUTE = matching(r"[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*", "an attribute's name")
_DPV = matching(r"dpv:[A-Za-z]+", "a dpv: term")
_TEXT = fields.text
_STATUS_TYPES = tuple({term for term, _ in STATUS_TERMS.values()})
_CONTRACT_TYPES = tuple({term for _, term in STATUS_TERMS.values()})

_PROCESS = shape(
    {
        "dpv:hasPurpose": _DPV,
        "purpose_text": _TEXT,
        "dpv:hasLegalBasis": _DPV,
        "dpv:hasPersonalData": list_of(
            shape(
                {
                    "pii_type": matching(r"pd:[A-Za-z]+", "a pd: term"),
                    "attribute_id": _ATTRIBUTE,
                    "dpv:hasNecessity": one_of("dpv:Required", "dpv:Optional"),
                    "transform": matching(r"none|coarsen:[a-z0-9_]+", "none or coarsen:…"),
                }
            ),
            least=1,
        ),
        "dpv:hasRecipient": list_of(_TEXT, least=1),
        "dpv:hasStorageCondition": array_of(
            shape({"@type": one_of("dpv:StorageLocation"), "dpv:hasLocation": _TEXT}),
            shape({"@type": one_of("dpv:StorageDuration"), "dpv:hasDuration": _DURATION}),
        ),
        "access": shape(
            {
                "mode": one_of("view", "store", "query", "stream"),
                "fetch": one_of("onetime", "periodic"),
                "frequency": nullable(_TEXT),
                "data_range": array_of(nullable(_TEXT), nullable(_TEXT)),
            }
        ),
    }
)
_STATUS = shape(
    {
        "seq": positive,
        "@type": list_of(one_of(*_STATUS_TYPES, "dpv:ExpressedConsent"), least=1, most=2),
        "dpv:isIndicatedAtTime": fields.instant,
        "dpv:hasDuration": nullable(
            shape({"@type": one_of("dpv:TemporalDuration"), "rdf:value": _DURATION})
        ),
        "dpv:isIndicatedBy": matching(
            r"dpv:DataSubject|organisation|operator|authority|clock|delegate|rule:[a-z0-9_.-]+",
            "an actor",
        ),
        "dpv:hasIndicationMethod": _TEXT,
    }
)
_RECORD = shape(
    {
        "@type": one_of("dpv:ConsentRecord"),
        "dct:conformsTo": one_of(f"{SCHEMA}#record"),
        "dct:identifier": _URN_UUID,
        "dpv:hasDataSubject": shape({"dct:identifier": _PSEUDONYM}),
        "dpv:hasNotice": shape(
            {
                "@type": one_of("dpv:ConsentNotice"),
                "@id": _TEXT,
                "dct:language": matching(r"[a-z]{2,3}(-[A-Za-z0-9]+)*", "a language tag"),
                "dct:date": fields.instant,
                "sha256": fields.digest,
            }
        ),
        "dpv:hasDataController": shape(
            {
                "party_id": _TEXT,
                "party_name": _TEXT,
                "party_address": _TEXT,
                "dpv:hasContact": nullable(_TEXT),
            }
        ),
        "dpv:hasJurisdiction": matching(r"loc:[A-Z]{2}", "loc: with a country code"),
        "dpv:hasApplicableLaw": nullable(_TEXT),
        "dpv:hasProcess": list_of(_PROCESS, least=1),
        "dpv:hasConsentControl": shape(
            {"@type": one_of("dpv:WithdrawConsent"), "dpv:isExercisedAt": _TEXT}
        ),
        "dpv:hasRight": list_of(_TEXT, least=1),
        "dpv:hasAuthority": nullable(_TEXT),
        "dpv:hasConsentStatus": list_of(_STATUS, least=1),
        "agreement": shape(
            {
                "id": nullable(_TEXT),
                "version": nullable(positive),
                "sha256": nullable(fields.digest),
                "template_sha256": fields.digest,
                "supersedes": nullable(_TEXT),
                "contract_status": one_of(*_CONTRACT_TYPES),
            }
        ),
        "grant_ids": list_of(_TEXT),
        "denied_attributes": list_of(_ATTRIBUTE),
        "obligations": list_of(
            shape(
                {
                    "kind": matching(r"[a-z_]+", "a code"),
                    "due_at": fields.instant,
                    "state": one_of("due", "confirmed", "retained_with_basis", "overdue"),
                }
            )
        ),
    }
)
RECEIPT = shape(
    {
        "@context": one_of(dict(CONTEXT)),
        "@type": one_of("dpv:ConsentReceipt"),
        "dct:conformsTo": one_of(f"{SCHEMA}#receipt"),
        "dct:identifier": _URN_UUID,
        "dct:created": fields.instant,
        "dct:publisher": _TEXT,
        "schema:recipient": one_of("dpv:DataSubject"),
        "kind": one_of(*(kind.value for kind in ReceiptKind)),
        "log": shape({"origin": _TEXT, "stream": _TEXT, "seq": positive}),
        "dpv:hasRecordOfActivity": list_of(_RECORD, least=1, most=1),
    }
)
