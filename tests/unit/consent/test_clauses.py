"""What every agreement says: complete, in both languages, and never changed once released."""

from __future__ import annotations

import pytest

from consent import clauses
from consent.formats import canonical
from pds.errors import NotFoundError

RELEASED = {1: "4f6c131fe599da555aff894ebd9fd71a523ff5df6df25c9a869fa516bfa2bbda"}


def test_released_clauses_never_change():
    """A changed text would be cited by agreements that were made under another."""
    assert {each.version: each.sha256 for each in clauses.RELEASED} == RELEASED
    assert clauses.CURRENT.version == max(RELEASED)


def test_the_uniform_terms_are_complete():
    found = {each.name for each in clauses.CURRENT.clauses}

    assert found == {
        "onward_sharing", "purpose_only", "security", "breach_notice", "stopping", "deletion",
        "records", "governing_terms",
    }  # fmt: skip


@pytest.mark.parametrize("clause", clauses.CURRENT.clauses, ids=lambda each: each.name)
def test_each_clause_is_in_both_languages(clause):
    for words in (clause.title, clause.text):
        assert words.az.strip()
        assert words.en.strip()
        assert words.az != words.en


def test_clauses_are_found_by_their_hash_and_no_other():
    assert clauses.find(clauses.CURRENT.sha256) == clauses.CURRENT
    assert canonical.sha256_hex(clauses.CURRENT.document) == clauses.CURRENT.sha256
    with pytest.raises(NotFoundError):
        clauses.find("0" * 64)


def test_a_notice_shows_them_in_one_language_with_their_hash():
    shown = clauses.CURRENT.shown("az")

    assert shown["sha256"] == clauses.CURRENT.sha256
    assert [each["title"] for each in shown["clauses"]] == [
        each.title.az for each in clauses.CURRENT.clauses
    ]
