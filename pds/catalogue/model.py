"""What a catalogue is made of: clusters, collections, attributes, coarsenings and their words.

Everything here is frozen and built once, by `pds.catalogue.loading`. Two of a kind are equal only
if they are the same one, and so each can key a cache of what is compiled from it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from pds.catalogue import describing, filtering, merging, messages, validation
from pds.catalogue.coarsening import Transform
from pds.catalogue.wording import Wording, is_azerbaijani
from pds.errors import Issue, NotFoundError

Data = dict[str, object]


class FieldKind(StrEnum):
    """How a value is written and entered; each kind has a base schema in `kinds`."""

    TEXT = "text"
    TEXTAREA = "textarea"
    EMAIL = "email"
    TEL = "tel"
    DATE = "date"
    INSTANT = "instant"
    SELECT = "select"
    URL = "url"
    MONEY = "money"
    BOOLEAN = "boolean"
    COUNTRY = "country"
    LANGUAGE = "language"
    TAGS = "tags"
    LABELLED = "labelled"


class Sensitivity(StrEnum):
    """Whether sharing needs a second tick and a fresh sign-in (CUX-22)."""

    ORDINARY = "ordinary"
    SENSITIVE = "sensitive"


class Cardinality(StrEnum):
    """One record in the vault, or a record per thing (P-21)."""

    ONE = "one"
    MANY = "many"


@dataclass(frozen=True, slots=True)
class Cluster:
    """The upper level of the data language that people see (CUX-4, CUX-5)."""

    name: str
    label: Wording
    help: Wording


@dataclass(frozen=True, slots=True, eq=False)
class Coarsening:
    """A way to share less than the value; `reads` names the neighbours it depends on."""

    name: str
    label: Wording
    schema: Mapping[str, object]
    reads: tuple[str, ...]
    transform: Transform


@dataclass(frozen=True, slots=True, eq=False)
class Attribute:
    """One consentable item, such as `contact.email`, or a companion, such as its `label`.

    `schema` is a JSON Schema fragment. `options` are the words of a select's or a label's codes.
    `of` is the kind of the values of a labelled list. An attribute that is not `editable` is set
    by the vault alone.
    """

    collection: str
    name: str
    kind: FieldKind
    of: FieldKind | None
    schema: Mapping[str, object]
    dpv_type: str
    sensitivity: Sensitivity
    required: bool
    editable: bool
    label: Wording
    help: Wording
    examples: Mapping[str, object]
    options: Mapping[str, Wording]
    coarsenings: Mapping[str, Coarsening]

    @property
    def qualified_name(self) -> str:
        """The name that agreements use: `contact.email`."""
        return f"{self.collection}.{self.name}"

    def example(self, locale: str | None) -> object:
        """Return a valid, invented value for a person who reads `locale`."""
        return self.examples["az" if is_azerbaijani(locale) else "en"]


@dataclass(frozen=True, slots=True, eq=False)
class Collection:
    """A set of records under one key (P-21).

    `companions` go along with any agreed attribute and are never asked for by themselves. `fields`
    are both together: all that a record may hold, in the order of a form.
    `merge_key` holds alternatives: the first whose attributes are all present identifies a record.
    `range_field` is the date or instant that a data range is measured on (P-26).
    `has_files` tells whether records may have files; those are no attributes and are not shared.
    """

    name: str
    cluster: Cluster
    sensitivity: Sensitivity
    cardinality: Cardinality
    singular: Wording
    plural: Wording
    attributes: Mapping[str, Attribute]
    companions: Mapping[str, Attribute]
    fields: Mapping[str, Attribute]
    summary: tuple[str, ...]
    merge_key: tuple[tuple[str, ...], ...]
    exactly_one_of: tuple[str, ...]
    any_of: tuple[str, ...]
    range_field: str | None
    importers: tuple[str, ...]
    has_files: bool

    def schema(self) -> Data:
        """Return the JSON Schema (2020-12, of draft-07 vocabulary) of a record's data."""
        return describing.collection_schema(self)

    def validate(self, data: Mapping[str, object]) -> Data:
        """Return a normalised copy of `data` that fits the schema.

        Text is stripped and in NFC, phones in E.164 (default region AZ), e-mails normalised,
        empty values left out. Valid data comes back equal, so validating twice changes nothing.

        Raises:
            ValidationFailedError: with an issue for each field; none of them quotes a value.
        """
        return validation.validate(self, data)

    def merge_tag_source(self, data: Mapping[str, object]) -> bytes | None:
        """Return bytes that are equal for two spellings of one record, or None without a key.

        `data` has been validated. The caller keys the hash: the bytes hold personal values.
        """
        return merging.merge_tag_source(self, data)

    def compile_filter(
        self,
        attributes: frozenset[str],
        coarsenings: Mapping[str, str],
        *,
        today: Callable[[], date] | None = None,
    ) -> Callable[[Mapping[str, object]], Data]:
        """Return a function that keeps what is agreed of a record, as coarse as agreed.

        `attributes` and the keys of `coarsenings` are qualified names; those of other collections
        are passed over. A coarse value stands under its attribute's own name. A record that holds
        none of the agreed attributes gives {}, companions included (P-22). `today` is asked at
        each call, because ages change while a filter is cached.

        Raises:
            NotFoundError: an attribute or coarsening that this collection does not have.
            ValueError: there are coarsenings but no `today`.
        """
        return filtering.compile_filter(self, attributes, coarsenings, today=today)

    def title(self, data: Mapping[str, object], locale: str | None = None) -> str:
        """Return the words that stand for a record in a list; its singular if there are none."""
        return describing.title(self, data, locale)


@dataclass(frozen=True, slots=True, eq=False)
class Catalogue:
    """Every collection; `sha256` is the hex hash of the canonical content of all its files."""

    collections: Mapping[str, Collection]
    clusters: Mapping[str, Cluster]
    sha256: str

    def collection(self, name: str) -> Collection:
        """Return a collection.

        Raises:
            NotFoundError: it names the unknown collection.
        """
        try:
            return self.collections[name]
        except KeyError:
            raise NotFoundError(f"no collection {name!r}") from None

    def attribute(self, qualified_name: str) -> Attribute:
        """Return an attribute by its qualified name, such as `contact.email`.

        Companions cannot be asked for and so are not found.

        Raises:
            NotFoundError: it names the unknown attribute.
        """
        collection, _, name = qualified_name.partition(".")
        try:
            return self.collections[collection].attributes[name]
        except KeyError:
            raise NotFoundError(f"no attribute {qualified_name!r}") from None

    def clusters_of(self, qualified_names: Sequence[str]) -> Mapping[Cluster, list[Attribute]]:
        """Group attributes by cluster, each once, in the catalogue's order (CUX-4, CUX-6)."""
        wanted = {self.attribute(name).qualified_name for name in qualified_names}
        groups: dict[Cluster, list[Attribute]] = {}
        for collection in self.collections.values():
            for attribute in collection.attributes.values():
                if attribute.qualified_name in wanted:
                    groups.setdefault(collection.cluster, []).append(attribute)
        return groups

    def message(self, collection: str, issue: Issue, locale: str | None) -> str:
        """Say in the reader's language what is wrong with a field and what to do."""
        return messages.message(self.collection(collection), issue, locale)

    def public_description(self, locale: str | None = None) -> Data:
        """Return what `/v1/catalogue` publishes, in one language, or in both for None."""
        return describing.public_description(self, locale)
