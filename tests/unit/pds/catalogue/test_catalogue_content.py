"""CUX-4: every item has its words, cluster, type and schema; the catalogue is one whole."""

import re
import unicodedata

import fastjsonschema
import pytest

from pds.catalogue import CATALOGUE, Cardinality
from pds.catalogue.files import collection_names, read_yaml
from pds.catalogue.loading import CatalogueError, load_catalogue
from pds.catalogue.messages import MESSAGES
from pds.errors import NotFoundError

COLLECTIONS = list(CATALOGUE.collections.values())
FIELDS = [field for collection in COLLECTIONS for field in collection.fields.values()]
FIELD_IDS = [field.qualified_name for field in FIELDS]
COLLECTION_IDS = [collection.name for collection in COLLECTIONS]

# The letters that Azerbaijani has and English lacks, and the other way round.
ONLY_AZERBAIJANI = set("əığöüçş")
FOREIGN_TO_AZERBAIJANI = re.compile(r"\b(the|and|of|your|is|with)\b")


def words_of(field):
    return [
        field.label,
        field.help,
        *field.options.values(),
        *(coarsening.label for coarsening in field.coarsenings.values()),
    ]


def all_wordings():
    for cluster in CATALOGUE.clusters.values():
        yield from (cluster.label, cluster.help)
    for collection in COLLECTIONS:
        yield from (collection.singular, collection.plural)
        for field in collection.fields.values():
            yield from words_of(field)
    yield from MESSAGES.values()


def test_the_collections_of_the_design_are_there():
    wanted = {
        "profile", "contact", "addresses", "products", "transactions", "interests", "preferences",
        "intentions", "life_events", "address_book", "bookmarks", "browsing_history",
    }  # fmt: skip

    assert wanted <= CATALOGUE.collections.keys()


@pytest.mark.parametrize("name", ["profile.given_name", "contact.email", "contact.phone"])
def test_names_that_outside_clients_rely_on_are_there(name):
    assert CATALOGUE.attribute(name).qualified_name == name


@pytest.mark.parametrize("field", FIELDS, ids=FIELD_IDS)
def test_every_item_has_words_in_both_languages_and_a_personal_data_type(field):
    assert all((field.label.az, field.label.en))
    assert [words[-1] for words in (field.help.az, field.help.en)] == [".", "."]
    assert re.fullmatch(r"pd:[A-Z][A-Za-z]+", field.dpv_type)


@pytest.mark.parametrize("collection", COLLECTIONS, ids=COLLECTION_IDS)
def test_every_collection_stands_in_a_cluster_with_words(collection):
    assert CATALOGUE.clusters[collection.cluster.name] is collection.cluster
    assert collection.cluster.label.az != collection.cluster.label.en
    assert all((collection.singular.az, collection.plural.az, collection.plural.en))


def test_help_is_translated_and_not_copied():
    copied = [field.qualified_name for field in FIELDS if field.help.az == field.help.en]

    assert copied == []


def test_azerbaijani_words_are_composed_and_look_azerbaijani():
    wordings = list(all_wordings())

    assert all(unicodedata.is_normalized("NFC", words.az) for words in wordings)
    assert [words.az for words in wordings if FOREIGN_TO_AZERBAIJANI.search(words.az)] == []
    assert [words.en for words in wordings if ONLY_AZERBAIJANI & set(words.en)] == []


@pytest.mark.parametrize("collection", COLLECTIONS, ids=COLLECTION_IDS)
def test_schemas_compile_and_refuse_unknown_members(collection):
    check = fastjsonschema.compile(collection.schema())

    with pytest.raises(fastjsonschema.JsonSchemaValueException):
        check({"no_such_attribute": "x"})


@pytest.mark.parametrize("locale", ["az", "en"])
@pytest.mark.parametrize("collection", COLLECTIONS, ids=COLLECTION_IDS)
def test_the_examples_make_a_valid_record_and_validating_twice_changes_nothing(collection, locale):
    left_out = collection.exactly_one_of[1:]
    data = {
        name: field.example(locale)
        for name, field in collection.fields.items()
        if name not in left_out
    }

    once = collection.validate(data)

    assert once == data
    assert collection.validate(once) == once
    assert collection.title(once, locale)


@pytest.mark.parametrize("collection", COLLECTIONS, ids=COLLECTION_IDS)
def test_sensitivity_is_the_same_in_the_whole_collection_because_keys_are(collection):
    """P-21: one key opens a whole collection."""
    assert {field.sensitivity for field in collection.fields.values()} == {collection.sensitivity}


def test_a_name_and_a_birth_date_and_a_passport_number_have_different_keys():
    """P-21: whoever may read the one must not hold a key to the other."""
    holders = {
        CATALOGUE.attribute(name).collection
        for name in ("profile.given_name", "demographics.birth_date", "identity.passport_number")
    }

    assert len(holders) == 3


@pytest.mark.parametrize("collection", COLLECTIONS, ids=COLLECTION_IDS)
def test_single_records_can_be_blanked_and_repeated_ones_can_be_recognised(collection):
    """P-21: a `one` is never deleted, so {} must be valid for it."""
    if collection.cardinality is Cardinality.ONE:
        assert collection.validate({}) == {}
        assert collection.merge_key == ()
    else:
        assert collection.merge_key


def test_companions_cannot_be_asked_for():
    """P-21: label, primary and verified only ever go along."""
    assert set(CATALOGUE.collection("contact").companions) == {"label", "primary", "verified"}
    with pytest.raises(NotFoundError, match=r"contact\.label"):
        CATALOGUE.attribute("contact.label")


@pytest.mark.parametrize("name", ["contact.fax", "nothing.email", "contact", "", "contact.email.x"])
def test_unknown_attributes_are_named_in_the_error(name):
    with pytest.raises(NotFoundError, match=re.escape(repr(name))):
        CATALOGUE.attribute(name)


def test_an_unknown_collection_is_named_in_the_error():
    with pytest.raises(NotFoundError, match="'secrets'"):
        CATALOGUE.collection("secrets")


def test_ranges_are_measured_on_dates_and_instants():
    """P-26."""
    kinds = {c.fields[c.range_field].kind for c in COLLECTIONS if c.range_field}

    assert kinds == {"date", "instant"}


def test_coarsenings_read_only_attributes_that_their_records_have():
    for field in FIELDS:
        for coarsening in field.coarsenings.values():
            known = CATALOGUE.collection(field.collection).attributes
            assert set(coarsening.reads) <= known.keys(), field.qualified_name


def test_attributes_group_by_cluster_once_and_in_screen_order():
    """CUX-4, CUX-6."""
    groups = CATALOGUE.clusters_of(
        ["contact.phone", "profile.given_name", "addresses.locality", "contact.phone"]
    )

    assert [
        (cluster.name, [attribute.qualified_name for attribute in attributes])
        for cluster, attributes in groups.items()
    ] == [
        ("about_you", ["profile.given_name"]),
        ("contact_details", ["contact.phone", "addresses.locality"]),
    ]


def test_the_hash_covers_every_word_and_is_the_same_at_each_load(monkeypatch):
    first = load_catalogue().sha256
    original = read_yaml

    def changed(name, **options):
        content = original(name, **options)
        if name == "collections/contact.yaml":
            content["attributes"]["email"]["help"]["az"] += "!"
        return content

    monkeypatch.setattr("pds.catalogue.loading.read_yaml", changed)

    assert first == CATALOGUE.sha256
    assert re.fullmatch("[0-9a-f]{64}", first)
    assert load_catalogue().sha256 != first


@pytest.mark.parametrize(
    "spoil",
    [
        lambda source: source.update(colour="blue"),
        lambda source: source["attributes"]["email"].update(colour="blue"),
        lambda source: source["attributes"]["email"]["label"].pop("az"),
        lambda source: source["attributes"]["email"].update(help="only English"),
        lambda source: source.update(summary=["no_such_attribute"]),
        lambda source: source.update(merge_key="email"),
    ],
    ids=["key", "attribute key", "no az", "one language", "reference", "merge key"],
)
def test_a_faulty_file_stops_the_start(monkeypatch, spoil):
    original = read_yaml

    def spoiled(name, **options):
        content = original(name, **options)
        if name == "collections/contact.yaml":
            spoil(content)
        return content

    monkeypatch.setattr("pds.catalogue.loading.read_yaml", spoiled)

    with pytest.raises(CatalogueError, match="contact"):
        load_catalogue()


def test_a_collection_without_a_cluster_stops_the_start(monkeypatch):
    original = read_yaml

    def without_people(name, **options):
        content = original(name, **options)
        if name == "clusters.yaml":
            content["people"]["collections"] = []
        return content

    monkeypatch.setattr("pds.catalogue.loading.read_yaml", without_people)

    with pytest.raises(CatalogueError, match="address_book"):
        load_catalogue()


def test_every_file_names_its_own_collection():
    for name in collection_names():
        assert read_yaml(f"collections/{name}.yaml")["name"] == name


def test_the_public_description_holds_schema_words_and_types_in_the_language_asked_for():
    """ORG-15."""
    described = CATALOGUE.public_description("az")
    contact = next(c for c in described["collections"] if c["name"] == "contact")
    email = next(a for a in contact["attributes"] if a["name"] == "contact.email")

    assert described["sha256"] == CATALOGUE.sha256
    assert described["prefixes"] == {"pd": "https://w3id.org/dpv/pd#"}
    assert described["clusters"][0]["label"] == "Sizin haqqınızda"
    assert contact["schema"] == CATALOGUE.collection("contact").schema()
    assert [each["name"] for each in contact["companions"]] == ["label", "primary", "verified"]
    assert (email["label"], email["dpv_type"]) == ("E-poçt", "pd:EmailAddress")


def test_the_public_description_without_a_locale_holds_both_languages():
    demographics = next(
        c for c in CATALOGUE.public_description()["collections"] if c["name"] == "demographics"
    )
    birth_date = demographics["attributes"][0]

    assert birth_date["label"] == {"az": "Doğum tarixi", "en": "Date of birth"}
    assert birth_date["coarsenings"][0]["name"] == "age_over_18"
    assert birth_date["coarsenings"][0]["label"]["en"] == "only whether you are 18 or over"
