"""The data dictionary: every collection and attribute, its shape, its words and its sensitivity.

One YAML file per collection is the only place where an attribute is named. Forms, consent wording,
API schemas, `/v1/catalogue` and the importers derive from what this package loads.
"""

from __future__ import annotations

from pds.catalogue.loading import load_catalogue
from pds.catalogue.masking import mask
from pds.catalogue.model import (
    Attribute,
    Cardinality,
    Catalogue,
    Cluster,
    Coarsening,
    Collection,
    FieldKind,
    Sensitivity,
)
from pds.catalogue.wording import Wording

CATALOGUE = load_catalogue()

__all__ = [
    "CATALOGUE",
    "Attribute",
    "Cardinality",
    "Catalogue",
    "Cluster",
    "Coarsening",
    "Collection",
    "FieldKind",
    "Sensitivity",
    "Wording",
    "mask",
]
