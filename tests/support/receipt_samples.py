"""Facts for receipts that tests build on; every name in them is made up."""

from __future__ import annotations

from collections.abc import Sequence

from consent.formats.receipt_facts import (
    Access,
    AgreementCitation,
    LogCitation,
    Notice,
    Obligation,
    Party,
    PersonalData,
    Process,
    ReceiptFacts,
    ReceiptKind,
    Status,
)

AGREEMENT_SHA256 = "a1" * 32
ORIGIN = "vault.example/log"
DELETION = (Obligation(kind="delete", due_at="2026-04-05T09:00:00Z", state="due"),)


def receipt_facts(
    kind: ReceiptKind = ReceiptKind.GIVEN,
    *,
    stream: str = "g." + "0" * 32,
    seq: int = 1,
    agreement_sha256: str | None = AGREEMENT_SHA256,
    receipt_id: str = "6f1c1f1e-0000-4000-8000-000000000001",
    obligations: Sequence[Obligation] = DELETION,
) -> ReceiptFacts:
    given = Status(
        seq=1,
        kind=ReceiptKind.GIVEN,
        at="2026-03-01T12:00:30Z",
        indicated_by="dpv:DataSubject",
        method="web form",
        duration="P30D",
    )
    later = Status(
        seq=2, kind=kind, at="2026-03-05T09:00:00Z", indicated_by="clock", method="schedule"
    )
    refused = Status(
        seq=1, kind=kind, at="2026-03-01T12:00:30Z", indicated_by="dpv:DataSubject", method="form"
    )
    statuses = {ReceiptKind.GIVEN: (given,), ReceiptKind.REFUSED: (refused,)}
    return ReceiptFacts(
        receipt_id=receipt_id,
        record_id="6f1c1f1e-0000-4000-8000-0000000000aa",
        created_at="2026-03-05T09:00:01Z",
        publisher="https://vault.example",
        data_subject="pw-3f9a0c77d1",
        notice=Notice(
            url="https://vault.example/notices/ab",
            language="az",
            shown_at="2026-03-01T11:59:00Z",
            sha256="b2" * 32,
        ),
        controller=Party(
            id="urn:uuid:6f1c1f1e-0000-4000-8000-0000000000bb",
            name="Günəş Bank",
            address="Nizami 1, Bakı",
            contact="privacy@gunes-bank.example",
        ),
        jurisdiction="AZ",
        processes=(
            Process(
                purpose="dpv:ServiceProvision",
                purpose_text="To reach you about your account",
                legal_basis="dpv:ExpressedConsent",
                personal_data=(
                    PersonalData(kind="pd:EmailAddress", attribute="contact.email", required=True),
                    PersonalData(
                        kind="pd:BirthDate",
                        attribute="profile.birth_date",
                        required=False,
                        transform="coarsen:age_over_18",
                    ),
                ),
                recipients=("Günəş Bank",),
                storage_location="AZ",
                storage_duration="P6M",
                access=Access(mode="store", fetch="periodic", frequency="P1D/1"),
            ),
        ),
        statuses=statuses.get(kind, (given, later)),
        agreement=AgreementCitation(
            id="6f1c1f1e-0000-4000-8000-0000000000cc",
            version=1,
            sha256=agreement_sha256,
            template_sha256="c3" * 32,
        ),
        withdraw_at="https://vault.example/connections/1/stop",
        rights=("https://vault.example/rights",),
        log=LogCitation(origin=ORIGIN, stream=stream, seq=seq),
        applicable_law="Fərdi məlumatlar haqqında Qanun",
        grant_ids=("6f1c1f1e-0000-4000-8000-0000000000dd",),
        denied_attributes=("contact.phone",),
        obligations=() if kind is ReceiptKind.GIVEN else tuple(obligations),
    )
