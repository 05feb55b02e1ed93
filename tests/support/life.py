"""One person's life with a vault: something of everything that a page can show."""

from __future__ import annotations

from dataclasses import dataclass

from consent import receipts
from pds.records import Draft
from tests.support.auditing import asked_by, engaged

CARDS = "".join(
    f"BEGIN:VCARD\nVERSION:3.0\nFN:Person{number}\nEMAIL:person{number}@poct.example\nEND:VCARD\n"
    for number in range(600)
).encode()

# A request by somebody new, in words such as an organisation finds: the README shows it.
BOOKSHOP = {
    "name": {"az": "Oxucu kartı", "en": "Reader's card"},
    "purpose_text": {
        "az": "Nərgiz Kitab bu məlumatları oxucu kartınızı açmaq və sizə yazmaq üçün istəyir.",
        "en": "Nergiz Books asks for this to keep your reader's card and to write to you.",
    },
    "if_refused": {
        "az": "Kart açılmır. Kitab almağa davam edə bilərsiniz.",
        "en": "There is no card. You can buy books as before.",
    },
    "complaint": {
        "az": "Əvvəlcə bizə yazın, sonra müvafiq quruma müraciət edin.",
        "en": "Write to us first, then turn to the authority.",
    },
    "retention": {
        "after_end": "P30D",
        "text": {
            "az": "Razılıq bitəndən sonra məlumatınız 30 gün ərzində silinir.",
            "en": "When the agreement ends, your data is erased within 30 days.",
        },
    },
    "access": {"mode": "on_change", "fetches_per_day": 24},
    "attributes": [
        {
            "name": "profile.given_name",
            "reason": {"az": "Kart adınıza yazılır.", "en": "The card is in your name."},
        },
        {
            "name": "contact.email",
            "reason": {"az": "Qəbzləri göndərmək üçün.", "en": "To send receipts."},
        },
    ],
    "optional_attributes": [
        {
            "name": "contact.phone",
            "reason": {"az": "Sifarişiniz çatanda SMS üçün.", "en": "To text you about an order."},
        },
        {
            "name": "addresses.locality",
            "reason": {"az": "Yaxın mağazaları göstərmək üçün.", "en": "To show shops near you."},
        },
    ],
}


@dataclass
class Life:
    """A person, and what of theirs is in a world."""

    world: object
    url: str
    aysel: object
    market: object
    template: object
    sensitive: object
    agreement: object
    stopped: object
    paused: object
    record: object
    import_id: object
    staged_id: object
    table_id: object
    document: str
    file: str
    notice: str
    receipt: object
    unmasking: object

    def invite(self):
        """Return an invitation that nobody has opened."""
        self.market.token = ""  # a new one: all views of all pages take longer than one lives
        return self.market.invite(self.template, "K-20431-0017")

    def limited_link(self):
        """Return a link as a letter to whoever lost the passphrase brings it."""
        made = self.world.services.limited_sign_ins.make_link(self.aysel.vault_id)
        return f"/limited/link/{made.text()}"

    def ask(self, template=None, *, by=None, **members):
        """Return a link as an organisation sends it."""
        organisation = by or self.market
        details = organisation.details(template or self.template, **members)
        uri, _ = self.world.push(organisation, details)
        return organisation.client.authorization_url(uri)

    def ask_anew(self):
        """Return a link of an organisation that has not asked before."""
        bookshop = self.world.organisation("Nərgiz Kitab")
        return self.ask(bookshop.publish(**BOOKSHOP), by=bookshop)


def live(world, url):
    """Give a world that is served at an address one person's life."""
    aysel = world.person("aysel")
    records = aysel.records
    records.save(Draft("profile", {"given_name": "Aysel", "family_name": "Məmmədova"}))
    record = records.save(Draft("contact", {"email": "aysel@poct.example"}))
    record = records.save(Draft("contact", {"email": "a@poct.example"}, record.id, record.version))
    records.save(Draft("contact", {"phone": "+994501234567"}))
    market = world.organisation("Xəzər Market")
    template = market.publish(
        required=["profile.given_name", "contact.email"],
        optional=["contact.phone", "addresses.locality", "health.conditions"],
    )
    sensitive = market.publish(required=["health.conditions", "transactions.amount"])
    shared = world.connect(aysel, market, template, optional=["contact.phone"])
    assert shared.get("/v1/records").status_code == 200
    bank = world.organisation("Günəş Bank")
    stopped = world.connect(aysel, bank, bank.publish(required=["profile.given_name"]))
    stopped.withdraw()
    clinic = world.organisation("Sağlam Klinika")
    care = clinic.publish(required=["profile.given_name", "health.conditions"])
    paused = world.connect(aysel, clinic, care, ask={"duration": "P90D"})
    world.services.pauses.pause(aysel.visitor.vault, paused.agreement_id)
    kredit = world.organisation("Tez Kredit")
    refused = kredit.publish(required=["profile.given_name"])
    uri, _ = world.push(kredit, kredit.details(refused))
    opened = world.open_request(aysel, kredit, uri)
    world.refuse(aysel, opened)
    document, file = _document(aysel)
    imports = world.services.imports(aysel.visitor)
    import_id = imports.stage("vcard", CARDS)
    imports.advance(import_id)
    return Life(
        world,
        url,
        aysel,
        market,
        template,
        sensitive,
        shared.agreement_id,
        stopped.agreement_id,
        paused.agreement_id,
        record.id,
        import_id,
        imports.stage("vcard", CARDS),
        imports.tables.hold("Tarix;Alan;Məbləğ\n01.02.2026;Kafe;-3,50\n31.02.2026;?;1\n".encode()),
        document,
        file,
        opened[2],
        _first_receipt(aysel),
        asked_by(engaged(world), aysel, way="consent"),
    )


def _document(person):
    """Return the paths of a document's page and of its file."""
    attachments = person.world.services.attachments(person.visitor)
    writer = attachments.files.write(most_bytes=1_000_000)
    writer.write(b"%PDF-1.7 and the rest")
    made = person.save("documents", title="Kirayə müqaviləsi", kind="contract")
    made = attachments.add(made, "Kirayə müqaviləsi, 2026-cı il, imzalanmış.pdf", writer.finish())
    path = f"/vault/documents/{made.id}"
    return path, f"{path}/files/{made.files[0].id}"


def _first_receipt(person):
    vault = person.visitor.vault
    with person.world.services.uow.read() as session:
        return receipts.of_vault(session, vault.bucket, vault.id)[-1].id
