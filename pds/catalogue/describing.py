"""What the catalogue tells others: JSON Schemas, titles of records, the public description."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from pds.catalogue.wording import is_azerbaijani

if TYPE_CHECKING:
    from pds.catalogue.model import Attribute, Catalogue, Collection

DPV_PREFIX = "https://w3id.org/dpv/pd#"
"""What `pd:` stands for: the DPV extension for personal data, version 2.3."""


def collection_schema(collection: Collection) -> dict[str, object]:
    """Return the JSON Schema of a record's data in `collection`."""
    schema: dict[str, object] = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": {name: dict(field.schema) for name, field in collection.fields.items()},
        "required": [name for name, field in collection.attributes.items() if field.required],
        "additionalProperties": False,
    }
    if collection.exactly_one_of:
        schema["oneOf"] = [{"required": [name]} for name in collection.exactly_one_of]
    if collection.any_of:
        schema["anyOf"] = [{"required": [name]} for name in collection.any_of]
    return schema


def title(collection: Collection, data: Mapping[str, object], locale: str | None) -> str:
    """Return the words that stand for a record in a list."""
    parts = [
        display(collection.attributes[name], data[name], locale)
        for name in collection.summary
        if name in data
    ]
    # Parts of a name read on; of anything else they are things side by side.
    separator = " " if "family_name" in collection.summary else " · "
    return separator.join(parts) or collection.singular.text(locale)


def display(attribute: Attribute, value: object, locale: str | None) -> str:
    """Return a value as the reader writes it: `12,50 ₼` and `22.11.2026` in Azerbaijani."""
    if isinstance(value, Mapping):
        return _money(value, locale)
    if isinstance(value, list):
        return ", ".join(str(v["value"]) if isinstance(v, Mapping) else str(v) for v in value)
    text = str(value)
    if text in attribute.options:
        return attribute.options[text].text(locale)
    if attribute.kind == "date" and is_azerbaijani(locale):
        return ".".join(reversed(text.split("-")))
    return text


def public_description(catalogue: Catalogue, locale: str | None) -> dict[str, object]:
    """Return the body of `/v1/catalogue`."""
    return {
        "sha256": catalogue.sha256,
        "prefixes": {"pd": DPV_PREFIX},
        "clusters": [
            {
                "name": cluster.name,
                "label": cluster.label.public(locale),
                "help": cluster.help.public(locale),
            }
            for cluster in catalogue.clusters.values()
        ],
        "collections": [_collection(each, locale) for each in catalogue.collections.values()],
    }


def _collection(collection: Collection, locale: str | None) -> dict[str, object]:
    return {
        "name": collection.name,
        "cluster": collection.cluster.name,
        "sensitivity": collection.sensitivity,
        "cardinality": collection.cardinality,
        "singular": collection.singular.public(locale),
        "plural": collection.plural.public(locale),
        "range_field": collection.range_field,
        "importers": list(collection.importers),
        "schema": collection.schema(),
        "attributes": [
            {"name": each.qualified_name, **_attribute(each, locale)}
            for each in collection.attributes.values()
        ],
        "companions": [
            {"name": each.name, **_attribute(each, locale)}
            for each in collection.companions.values()
        ],
    }


def _attribute(attribute: Attribute, locale: str | None) -> dict[str, object]:
    return {
        "kind": attribute.kind,
        "dpv_type": attribute.dpv_type,
        "sensitivity": attribute.sensitivity,
        "required_in_record": attribute.required,
        "label": attribute.label.public(locale),
        "help": attribute.help.public(locale),
        "example": dict(attribute.examples) if locale is None else attribute.example(locale),
        "options": {code: words.public(locale) for code, words in attribute.options.items()},
        "coarsenings": [
            {"name": each.name, "label": each.label.public(locale), "schema": dict(each.schema)}
            for each in attribute.coarsenings.values()
        ],
    }


def _money(amount: Mapping[str, object], locale: str | None) -> str:
    value, currency = str(amount["value"]), str(amount["currency"])
    if not is_azerbaijani(locale):
        return f"{value} {currency}"
    return f"{value.replace('.', ',')} {'₼' if currency == 'AZN' else currency}"
