"""The mapping of the Tryton tests, and what it makes of Aysel."""

from __future__ import annotations

TABLE = (
    ("profile", "name", "words(given_name, family_name)", ()),
    ("contact", "contact_mechanisms[email]", "records[?email].email | [0]", ("email",)),
    ("contact", "contact_mechanisms[phone]", "records[?phone].phone | [0]", ("phone",)),
    (
        "addresses",
        "addresses[home]",
        "{street_unstructured: street, postal_code: postal_code, city: city}",
        (),
    ),
)
VALUES = {
    "name": "Aysel Məmmədova",
    "contact_mechanisms[email]": "aysel@mail.example",
    "contact_mechanisms[phone]": "+994501234567",
    "addresses[home]": {
        "street_unstructured": "Nizami 10",
        "postal_code": "AZ1000",
        "city": "Bakı",
    },
}
