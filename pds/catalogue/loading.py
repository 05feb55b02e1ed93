"""Reading the catalogue's YAML files into frozen objects, once, at import.

A file with an unknown key, a missing word or a reference to nothing is a fault of the program, so
it stops the start with the name of the file and of the key.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from types import MappingProxyType

from pds.catalogue.coarsening import TRANSFORMS
from pds.catalogue.files import collection_names, read_yaml
from pds.catalogue.kinds import SCHEMAS
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

_Source = dict[str, object]

_COLLECTION_KEYS = frozenset(
    {
        "name", "sensitivity", "cardinality", "singular", "plural", "attributes", "companions",
        "summary", "merge_key", "exactly_one_of", "any_of", "range_field", "importers",
        "files",
    }
)  # fmt: skip
_ATTRIBUTE_KEYS = frozenset(
    {
        "kind", "of", "schema", "dpv", "required", "editable", "label", "help", "example",
        "options", "coarsenings",
    }
)  # fmt: skip


class CatalogueError(Exception):
    """A catalogue file is wrong; the text names the file and the key."""


def load_catalogue() -> Catalogue:
    """Read every file of the catalogue."""
    clusters = _mapping("clusters", read_yaml("clusters.yaml"))
    coarsenings = _mapping("coarsenings", read_yaml("coarsenings.yaml"))
    companions = _mapping("companions", read_yaml("companions.yaml"))
    sources = {
        name: _mapping(name, read_yaml(f"collections/{name}.yaml")) for name in collection_names()
    }
    canonical = json.dumps(
        [clusters, coarsenings, companions, sources],
        ensure_ascii=False,
        sort_keys=True,
        separators=(",", ":"),
    )
    builder = _Builder(
        {name: _coarsening(name, _mapping(name, words)) for name, words in coarsenings.items()},
        companions,
    )
    built_clusters: dict[str, Cluster] = {}
    collections: dict[str, Collection] = {}
    for name, source in clusters.items():
        words = _mapping(name, source)
        cluster = Cluster(name, _wording(name, words["label"]), _wording(name, words["help"]))
        built_clusters[name] = cluster
        for member in _names(name, words["collections"]):
            collections[member] = builder.collection(sources.pop(member), cluster)
    if sources:
        raise CatalogueError(f"clusters.yaml: no cluster holds {sorted(sources)}")
    return Catalogue(
        MappingProxyType(collections),
        MappingProxyType(built_clusters),
        hashlib.sha256(canonical.encode()).hexdigest(),
    )


class _Builder:
    """Builds collections out of their sources and of what all of them share."""

    def __init__(self, coarsenings: Mapping[str, Coarsening], companions: _Source) -> None:
        self._coarsenings = coarsenings
        self._companions = companions

    def collection(self, source: _Source, cluster: Cluster) -> Collection:
        name = str(source["name"])
        _only(name, source, _COLLECTION_KEYS)
        sensitivity = Sensitivity(str(source["sensitivity"]))
        attributes = {
            key: self._attribute(name, key, _mapping(key, value), sensitivity)
            for key, value in _mapping(name, source["attributes"]).items()
        }
        companions = {
            key: self._companion(name, key, options, sensitivity)
            for key, options in _mapping(name, source.get("companions", {})).items()
        }
        alternatives = source.get("merge_key", [])
        if not isinstance(alternatives, list):
            raise CatalogueError(f"{name}: merge_key is a list of lists")
        range_field = source.get("range_field")
        built = Collection(
            name=name,
            cluster=cluster,
            sensitivity=sensitivity,
            cardinality=Cardinality(str(source["cardinality"])),
            singular=_wording(name, source["singular"]),
            plural=_wording(name, source["plural"]),
            attributes=MappingProxyType(attributes),
            companions=MappingProxyType(companions),
            fields=MappingProxyType({**attributes, **companions}),
            summary=_names(name, source["summary"]),
            merge_key=tuple(_names(name, key) for key in alternatives),
            exactly_one_of=_names(name, source.get("exactly_one_of", [])),
            any_of=_names(name, source.get("any_of", [])),
            range_field=None if range_field is None else str(range_field),
            importers=_names(name, source.get("importers", [])),
            has_files=source.get("files") is True,
        )
        _check_references(built)
        return built

    def _companion(
        self, collection: str, name: str, options: object, sensitivity: Sensitivity
    ) -> Attribute:
        source = dict(_mapping(name, self._companions[name]))
        if options is not None:
            known = _mapping(name, source["options"])
            source["options"] = {code: known[code] for code in _names(name, options)}
        return self._attribute(collection, name, source, sensitivity)

    def _attribute(
        self, collection: str, name: str, source: _Source, sensitivity: Sensitivity
    ) -> Attribute:
        place = f"{collection}.{name}"
        _only(place, source, _ATTRIBUTE_KEYS)
        kind = FieldKind(str(source["kind"]))
        options = {
            code: _wording(place, words) for code, words in self._options(kind, source).items()
        }
        return Attribute(
            collection=collection,
            name=name,
            kind=kind,
            of=FieldKind(str(source["of"])) if "of" in source else None,
            schema=MappingProxyType(_schema(kind, source, list(options))),
            dpv_type=str(source["dpv"]),
            sensitivity=sensitivity,
            required=source.get("required") is True,
            editable=source.get("editable") is not False,
            label=_wording(place, source["label"]),
            help=_wording(place, source["help"]),
            examples=MappingProxyType(_examples(source["example"])),
            options=MappingProxyType(options),
            coarsenings=MappingProxyType(
                {
                    each: self._coarsenings[each]
                    for each in _names(place, source.get("coarsenings", []))
                }
            ),
        )

    def _options(self, kind: FieldKind, source: _Source) -> _Source:
        if kind is FieldKind.LABELLED:
            return _mapping("label", _mapping("label", self._companions["label"])["options"])
        return _mapping("options", source.get("options", {}))


def _schema(kind: FieldKind, source: _Source, options: list[str]) -> _Source:
    schema: _Source = {**SCHEMAS[kind], **_mapping(kind, source.get("schema", {}))}
    if kind is FieldKind.SELECT:
        schema["enum"] = options
    if kind is FieldKind.LABELLED:
        items = _mapping(kind, schema["items"])
        properties = _mapping(kind, items["properties"])
        schema["items"] = {**items, "properties": {**properties, "label": {"enum": options}}}
    return schema


def _examples(example: object) -> _Source:
    if isinstance(example, dict) and example.keys() == {"az", "en"}:
        return example
    return {"az": example, "en": example}


def _coarsening(name: str, source: _Source) -> Coarsening:
    return Coarsening(
        name,
        _wording(name, source["label"]),
        MappingProxyType(_mapping(name, source["schema"])),
        _names(name, source.get("reads", [])),
        TRANSFORMS[name],
    )


def _check_references(collection: Collection) -> None:
    named = {
        *collection.summary,
        *collection.exactly_one_of,
        *collection.any_of,
        *(name for key in collection.merge_key for name in key),
        *({collection.range_field} - {None}),
    }
    unknown = named - collection.attributes.keys()
    if unknown:
        raise CatalogueError(f"{collection.name}: no attributes {sorted(map(str, unknown))}")


def _wording(place: str, words: object) -> Wording:
    match words:
        case {"az": str(az), "en": str(en)} if az and en:
            return Wording(az, en)
        case _:
            raise CatalogueError(f"{place}: words in az and en are missing")


def _mapping(place: str, value: object) -> _Source:
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        raise CatalogueError(f"{place}: a mapping is expected")
    return value


def _names(place: str, value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise CatalogueError(f"{place}: a list of names is expected")
    return tuple(value)


def _only(place: str, source: _Source, known: frozenset[str]) -> None:
    unknown = source.keys() - known
    if unknown:
        raise CatalogueError(f"{place}: unknown keys {sorted(unknown)}")
