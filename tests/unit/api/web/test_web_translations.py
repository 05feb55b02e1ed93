"""Every visible sentence has its Azerbaijani words, and the compiled file is in step (UI-16)."""

from __future__ import annotations

import re
from functools import cache
from io import BytesIO

import pytest
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import read_mo, write_mo
from babel.messages.pofile import read_po

from api.web.languages import TRANSLATIONS

PAGES = TRANSLATIONS.parent
METHODS = [("**.py", "python"), ("templates/**.html", "jinja2")]
KEYWORDS = {"_": None, "_l": None, "gettext": None, "lazy_gettext": None, "ngettext": (1, 2)}
PLACEHOLDER = re.compile(r"%\((\w+)\)[sd]")
FOLDER = TRANSLATIONS / "az" / "LC_MESSAGES"


@cache
def sentences():
    """Return what the code and the templates say."""
    found = extract_from_dir(PAGES, METHODS, keywords=KEYWORDS)
    return {message for _, _, message, _, _ in found if message}


@cache
def words():
    """Return the Azerbaijani catalogue."""
    with (FOLDER / "messages.po").open("rb") as file:
        return read_po(file, locale="az")


def test_every_sentence_is_translated():
    missing = []
    for sentence in sentences():
        found = words().get(sentence if isinstance(sentence, str) else sentence[0])
        texts = found.string if found is not None else ""
        whole = all(texts) if isinstance(texts, tuple) else bool(texts)
        if not whole or found.fuzzy:
            missing.append(sentence)

    assert len(sentences()) > 300
    assert missing == []


def test_no_translation_is_left_over():
    said = {each if isinstance(each, str) else each[0] for each in sentences()}
    known = {each.id if isinstance(each.id, str) else each.id[0] for each in words() if each.id}

    assert known - said == set()


def test_placeholders_are_the_same_in_both_languages():
    for message in words():
        ids = message.id if isinstance(message.id, tuple) else (message.id,)
        texts = message.string if isinstance(message.string, tuple) else (message.string,)
        if ids != ("",):
            wanted = set(PLACEHOLDER.findall(ids[-1]))
            for text in texts:
                assert set(PLACEHOLDER.findall(text)) <= wanted, ids[0]
            assert set(PLACEHOLDER.findall(texts[-1])) == wanted, ids[0]


def test_the_compiled_catalogue_is_in_step():
    fresh = BytesIO()
    write_mo(fresh, words())
    fresh.seek(0)
    with (FOLDER / "messages.mo").open("rb") as file:
        compiled = read_mo(file)

    assert texts_of(compiled) == texts_of(read_mo(fresh))


def texts_of(catalogue):
    """Return the translations of a catalogue."""
    return {str(each.id): each.string for each in catalogue if each.id}


@pytest.mark.parametrize(
    "template", sorted(PAGES.glob("templates/**/*.html")), ids=lambda p: p.name
)
def test_no_template_says_anything_beside_the_catalogue(template):
    """Sentences that stand bare in a template would be English in both languages."""
    text = template.read_text("utf-8")
    text = re.sub(r"\{% block width %\}\w+\{% endblock %\}", " ", text)
    text = re.sub(r'<div lang="en">.*?</div>\s*(?=\{% endblock)', " ", text, flags=re.DOTALL)
    text = re.sub(r'<table lang="en">.*?</table>', " ", text, flags=re.DOTALL)
    text = re.sub(r"<code>.*?</code>|<a [^>]*>/[a-z/]+</a>", " ", text, flags=re.DOTALL)
    text = re.sub(r"\{%.*?%\}|\{\{.*?\}\}|<!--.*?-->", " ", text, flags=re.DOTALL)
    text = re.sub(r"<[^>]*>", " ", text)
    bare = set(re.findall(r"[^\W\d_]{2,}", text))

    assert bare <= {"English", "Azərbaycanca", "SHA", "UTC", "CRM"}, bare
