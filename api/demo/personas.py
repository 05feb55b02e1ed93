"""The fictional people and organisations of the demonstration.

Domains end in `.example`, numbers lead nowhere. What people have is in files under `data/`, which
the importers read like anybody's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any
from uuid import UUID

from consent.clauses import CURRENT
from consent.template_format import VERSION
from pds.ids import random_uuid


@dataclass(frozen=True, slots=True)
class File:
    """A file that a person imports."""

    name: str
    format: str
    own_card: bool = False


@dataclass(frozen=True, slots=True)
class Persona:
    """Someone with a vault."""

    login: str
    name: str
    locale: str
    files: Sequence[File]


@dataclass(frozen=True, slots=True)
class Business:
    """An organisation and the one template that it asks by; wording is (az, en)."""

    key: str
    name: tuple[str, str]
    application: str
    contact: str
    address: str
    purpose: str
    agreement: tuple[str, str]
    purpose_text: tuple[str, str]
    required: Mapping[str, tuple[str, str]]
    optional: Mapping[str, tuple[str, str]]
    duration: str
    after_end: str
    if_refused: tuple[str, str]
    fetches_per_day: int = 48
    coarser: Mapping[str, Sequence[str]] = field(default_factory=dict)  # what will do instead
    days_back: Mapping[str, int] = field(default_factory=dict)  # by collection with a range

    def template(self, organisation_id: UUID, *, on: date) -> dict[str, Any]:
        """Return the template as the organisation writes it on a day."""
        data_from = {
            name: (on - timedelta(days=days)).isoformat() for name, days in self.days_back.items()
        }
        return {
            "type": VERSION,
            "id": str(random_uuid()),
            "version": 1,
            "organisation": str(organisation_id),
            "name": _wording(self.agreement),
            "purpose": self.purpose,
            "purpose_text": _wording(self.purpose_text),
            "lawful_basis": "consent",
            "attributes": self._items(self.required),
            "optional_attributes": self._items(self.optional),
            "actions": ["read"],
            "access": {"mode": "on_change", "fetches_per_day": self.fetches_per_day},
            "instances": {},
            "data_from": data_from,
            "max_duration": self.duration,
            "retention": {
                "after_end": self.after_end,
                "text": _wording(
                    (
                        "Razılıq bitəndən sonra məlumatınız bizim sistemlərdən silinir.",
                        "When the agreement ends, your data is erased from our systems.",
                    )
                ),
            },
            "storage_location": "Azərbaycan",
            "recipients": [],
            "automated_decisions": False,
            "if_refused": _wording(self.if_refused),
            "complaint": _wording(
                (
                    f"Əvvəlcə bizə yazın: {self.contact}. Sonra müvafiq quruma müraciət edin.",
                    f"Write to us first: {self.contact}. Then turn to the authority.",
                )
            ),
            "jurisdiction": "AZ",
            "clauses": CURRENT.sha256,
        }

    def _items(self, reasons: Mapping[str, tuple[str, str]]) -> list[dict[str, Any]]:
        return [
            {"name": name, "reason": _wording(reason)}
            | ({"coarsenings": list(self.coarser[name])} if name in self.coarser else {})
            for name, reason in reasons.items()
        ]


PEOPLE = (
    Persona(
        "aysel",
        "Aysel Məmmədova",
        "az",
        (
            File("aysel.vcf", "vcard", own_card=True),
            File("aysel-contacts.vcf", "vcard"),
            File("gunes-bank.ofx", "ofx"),
        ),
    ),
    Persona("elvin", "Elvin Quliyev", "az", (File("elvin.vcf", "vcard", own_card=True),)),
    Persona("leyla", "Leyla Hüseynova", "az", (File("leyla.vcf", "vcard", own_card=True),)),
    Persona("daniel", "Daniel Novak", "en", (File("daniel.vcf", "vcard", own_card=True),)),
)

MARKET = Business(
    key="xezer-market",
    name=("Xəzər Market", "Khazar Market"),
    application="Xəzər Market loyallıq kartı",
    contact="mexfilik@xezer-market.example",
    address="Bakı, Nümunə küçəsi 1",
    purpose="customer_management",
    agreement=("Loyallıq kartı", "Loyalty card"),
    purpose_text=(
        "Xəzər Market kartınızı adınıza açmaq və sizə yazmaq üçün bu məlumatları istəyir.",
        "Khazar Market asks for this so that it can keep a card in your name and write to you.",
    ),
    required={
        "profile.given_name": ("Kart adınıza yazılır.", "The card is in your name."),
        "profile.family_name": ("Kart adınıza yazılır.", "The card is in your name."),
        "contact.email": (
            "Qəbzləri və bonus hesabını göndərmək üçün.",
            "To send receipts and your balance.",
        ),
    },
    optional={
        "contact.phone": (
            "İstəsəniz, endirimlər barədə SMS göndəririk.",
            "If you like, we text you about discounts.",
        ),
        "addresses.locality": (
            "Yaxınlıqdakı mağazaları göstərmək üçün.",
            "To show shops near you.",
        ),
        "addresses.postal_code": ("Evə çatdırılma üçün.", "For home delivery."),
    },
    coarser={"addresses.postal_code": ["postal_area"]},
    duration="P365D",
    after_end="P30D",
    if_refused=(
        "Kart açılmır. Mağazadan adi qaydada alış-veriş edə bilərsiniz.",
        "There is no card. You can shop as before.",
    ),
)
BANK = Business(
    key="gunes-bank",
    name=("Günəş Bank", "Gunesh Bank"),
    application="Günəş Bank müştəri qəbulu",
    contact="mexfilik@gunes-bank.example",
    address="Bakı, Sınaq prospekti 3",
    purpose="identity_verification",
    agreement=("Hesab açılışı", "Opening an account"),
    purpose_text=(
        "Günəş Bank hesabınızı açmaq və kimliyinizi yoxlamaq üçün bu məlumatları istəyir.",
        "Gunesh Bank asks for this so that it can open your account and check who you are.",
    ),
    required={
        "profile.given_name": ("Hesab adınıza açılır.", "The account is in your name."),
        "profile.family_name": ("Hesab adınıza açılır.", "The account is in your name."),
        "demographics.birth_date": (
            "Yaşınızı yoxlamaq qanunun tələbidir.",
            "The law has us check your age.",
        ),
    },
    optional={
        "contact.phone": ("Sizə zəng etmək üçün.", "To call you."),
        "addresses.street_address": ("Kartı poçtla göndərmək üçün.", "To post the card."),
        "addresses.locality": ("Kartı poçtla göndərmək üçün.", "To post the card."),
    },
    duration="P90D",
    after_end="P30D",
    if_refused=("Hesabı filialda aça bilərsiniz.", "You can open the account at a branch."),
)
CLINIC = Business(
    key="saglam-klinika",
    name=("Sağlam Klinika", "Saglam Clinic"),
    application="Sağlam Klinika qeydiyyat",
    contact="mexfilik@saglam-klinika.example",
    address="Gəncə, Nümunə küçəsi 9",
    purpose="service_provision",
    agreement=("Qəbula yazılma", "Booking a visit"),
    purpose_text=(
        "Sağlam Klinika sizi qəbula yazmaq və xatırlatma göndərmək üçün bu məlumatları istəyir.",
        "Saglam Clinic asks for this so that it can book your visit and remind you of it.",
    ),
    required={
        "profile.given_name": ("Sizi adınızla çağırmaq üçün.", "To call you by your name."),
        "contact.phone": ("Qəbulu xatırlatmaq üçün.", "To remind you of the visit."),
    },
    optional={
        "contact.email": ("Təsdiqi e-poçtla göndərmək üçün.", "To confirm by e-mail."),
        "demographics.birth_date": ("Tibbi kart üçün.", "For your medical card."),
    },
    coarser={"demographics.birth_date": ["year_of_birth", "age_band"]},
    duration="P30D",
    after_end="P7D",
    if_refused=("Qeydiyyatda növbəyə yazıla bilərsiniz.", "You can book at the desk."),
)
LENDER = Business(
    key="tez-kredit",
    name=("Tez Kredit", "Tez Kredit"),
    application="Tez Kredit müraciət",
    contact="mexfilik@tez-kredit.example",
    address="Sumqayıt, Sınaq küçəsi 5",
    purpose="credit_checking",
    agreement=("Kredit müraciəti", "Loan application"),
    purpose_text=(
        "Tez Kredit ödəmə qabiliyyətinizi qiymətləndirmək üçün bu məlumatları istəyir.",
        "Tez Kredit asks for this so that it can assess whether you can repay a loan.",
    ),
    required={
        "profile.given_name": ("Müqavilə adınıza yazılır.", "The contract is in your name."),
        "transactions.date": ("Gəliri hesablamaq üçün.", "To work out your income."),
        "transactions.amount": ("Gəliri hesablamaq üçün.", "To work out your income."),
    },
    optional={
        "transactions.payee": ("Xərcləri qruplaşdırmaq üçün.", "To group your spending."),
        "contact.phone": ("Cavabı bildirmək üçün.", "To tell you the answer."),
    },
    duration="P7D",
    after_end="P30D",
    if_refused=("Müraciətə baxılmır.", "The application is not considered."),
    days_back={"transactions": 180},
)
BUSINESSES = (MARKET, BANK, CLINIC, LENDER)
# Whom Aysel shares with already, and which optional items she added.
CONNECTED = ((BANK, ("contact.phone",)), (CLINIC, ()), (LENDER, ()))
AUDITOR = "Nigar Əliyeva"


def _wording(pair: tuple[str, str]) -> dict[str, str]:
    return {"az": pair[0], "en": pair[1]}
