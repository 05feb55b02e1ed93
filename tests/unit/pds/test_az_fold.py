"""UI-12, UI-14: letters are folded, searched and sorted the Azerbaijani way, in one place."""

import ast
import unicodedata
from pathlib import Path

import pytest

from pds.text import (
    az_collation,
    az_fold,
    az_sort_key,
    az_upper,
    first_letter,
    matches,
    search_keys,
)

ROOT = Path(__file__).parents[3]
CASE_CHANGES = {"lower", "upper", "casefold"}


@pytest.mark.parametrize(
    ("written", "folded"),
    [
        ("ISMAYIL", "ısmayıl"),
        ("İSMAYIL", "ismayıl"),
        ("Iğdır", "ığdır"),
        ("İlqar", "ilqar"),
        ("ƏLİYEVA", "əliyeva"),
        ("Straße", "strasse"),
    ],
)
def test_folding_keeps_dotted_and_dotless_i_apart(written, folded):
    assert az_fold(written) == folded


def test_folding_a_decomposed_dotted_capital_gives_one_letter():
    assert az_fold(unicodedata.normalize("NFD", "İçərişəhər")) == "içərişəhər"


def test_folding_twice_changes_nothing():
    assert az_fold(az_fold("QULİYEV Iİıi")) == az_fold("QULİYEV Iİıi")


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("quliyev", "Elvin QULİYEV"),
        ("QULİYEV", "quliyev"),
        ("seher", "Şəhər"),
        ("şəhər", "SEHER"),
        ("agdam", "Ağdam"),
        ("xirdalan", "XIRDALAN"),
        ("XIRDALAN", "Xırdalan"),
        ("cicek", "Çiçək Gülü"),
        ("gulu çiçək", "Çiçək Gülü"),
        ("", "whatever"),
    ],
)
def test_search_finds_a_name_whatever_keyboard_it_was_typed_on(query, text):
    assert matches(query, text)


@pytest.mark.parametrize(("query", "text"), [("guliyev", "Quliyev"), ("ana ata", "Ana")])
def test_search_does_not_find_other_letters_or_missing_words(query, text):
    assert not matches(query, text)


def test_search_keys_hold_the_own_and_the_plain_letters():
    assert search_keys("Göyçay Iı") == ("göyçay ıı", "goycay ii")


def test_sorting_follows_the_azerbaijani_alphabet():
    ordered = [
        "12 nömrə", "Aysel", "Bakı", "Cavid", "Çinarə", "Daniel", "Elvin", "Əli", "Fuad", "Günel",
        "Ğ", "Həsən", "Xəzər", "Irma", "İlqar", "Jalə", "Kamal", "Qəzənfər", "Leyla", "Murad",
        "Nigar", "Orxan", "Ömər", "Pərviz", "Rauf", "Sara", "Şəbnəm", "Tural", "Ulduz", "Ülviyyə",
        "Vüqar", "Yusif", "Zəhra", "見本",
    ]  # fmt: skip
    mixed = ordered[::3] + ordered[2::3] + ordered[1::3]

    assert sorted(mixed, key=az_sort_key) == ordered


def test_sorting_puts_capitals_beside_small_letters():
    assert sorted(["b", "A", "a", "B"], key=az_sort_key) == ["A", "a", "B", "b"]


def _case_changes(path):
    """Yield the line numbers of bare case changes that the code does not mark as protocol text."""
    source = path.read_text(encoding="utf-8")
    lines = source.splitlines()
    for node in ast.walk(ast.parse(source)):
        is_case_change = isinstance(node, ast.Attribute) and node.attr in CASE_CHANGES
        if is_case_change and not lines[node.end_lineno - 1].rstrip().endswith("# ascii"):
            yield f"{path.relative_to(ROOT)}:{node.end_lineno}"


def test_no_code_changes_the_case_of_text_on_its_own():
    # api/oauth/ext sees protocol text alone, and may import nothing of ours (P-44).
    spared = [ROOT / "pds/text.py", *(ROOT / "api/oauth/ext").rglob("*.py")]
    paths = [p for top in ("pds", "consent", "api") for p in (ROOT / top).rglob("*.py")]

    found = [place for path in paths if path not in spared for place in _case_changes(path)]

    assert found == [], "use pds.text, or mark protocol text with `# ascii`"


def test_the_watch_on_case_changes_sees_calls_and_bare_references(tmp_path, monkeypatch):
    sample = tmp_path / "sample.py"
    sample.write_text(
        "a.lower()\nmap(str.upper, b)\nc.lower()  # ascii\nd.strip()\n", encoding="utf-8"
    )
    monkeypatch.setitem(_case_changes.__globals__, "ROOT", tmp_path)

    assert list(_case_changes(sample)) == ["sample.py:1", "sample.py:2"]


def test_the_text_that_lists_sort_by_sorts_as_the_alphabet_does():
    """UI-14: as `az_sort_key`, but it can be kept."""
    words = ["Çay", "çörək", "dəftər", "Əli", "elə", "İnci", "ıspanaq", "7 gün", "Zaur", "Анна", ""]

    assert sorted(words, key=az_collation) == sorted(words, key=az_sort_key)


def test_the_letter_of_a_title_has_its_own_capital():
    letters = [
        first_letter(az_collation(title)) for title in ("İnci", "ıspanaq", "7 gün", "Анна", "")
    ]

    assert letters == ["i", "ı", "", "", ""]
    assert [az_upper(letter) for letter in "iıəş"] == ["İ", "I", "Ə", "Ş"]
