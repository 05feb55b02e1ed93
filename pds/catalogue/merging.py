"""Merge keys: what makes two records the same one (idempotent imports, duplicates)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING

from pds.text import az_fold

if TYPE_CHECKING:
    from pds.catalogue.model import Attribute, Collection

_ENCODER = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"))
_AS_WRITTEN = frozenset({"url", "date", "instant", "boolean"})


def merge_tag_source(collection: Collection, data: Mapping[str, object]) -> bytes | None:
    """Return the bytes of a record's merge key; see `Collection.merge_tag_source`."""
    for key in collection.merge_key:
        if all(name in data for name in key):
            values = [_comparable(collection.attributes[name], data[name]) for name in key]
            return _ENCODER.encode([collection.name, key, values]).encode()
    return None


def _comparable(attribute: Attribute, value: object) -> object:
    if isinstance(value, Mapping):
        amount = Decimal(str(value["value"])).normalize()
        return f"{amount:f} {value['currency']}"
    if attribute.kind in _AS_WRITTEN:
        return value
    if isinstance(value, list):
        # Neither the order of a list nor a label makes another person of somebody.
        return sorted(_folded(v["value"] if isinstance(v, Mapping) else v) for v in value)
    return _folded(value)


def _folded(value: object) -> str:
    return az_fold(" ".join(str(value).split()))
