"""Names that look like somebody else's (UTS 39, THR-1, THR-2)."""

import pytest

from api.oauth.look_alikes import is_of_mixed_scripts, look_alike


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("Kapital Bank", "kapital bank"),
        ("Kapital Bank", "KapitalBank."),
        ("KAPİTAL BANK", "Kapital Bank"),
        ("KAPITAL BANK", "Kapital Bank"),
        ("KapitaI Bank", "Kapital Bank"),
        ("Kapita1 Bank", "Kapital Bank"),
        ("Kаpital Bank", "Kapital Bank"),  # noqa: RUF001 - a Cyrillic letter is the point
        ("Сосо", "Coco"),  # noqa: RUF001 - all Cyrillic
        ("Xezer Market", "Xəzər Market"),
        ("Xǝzǝr Market", "Xəzər Market"),
        ("Rnarket", "Market"),
        ("Ｍａｒｋｅｔ", "Market"),  # noqa: RUF001 - full width
    ],
)
def test_what_reads_the_same_looks_alike_thr_2(name, other):
    assert look_alike(name, ["Araz", other])


@pytest.mark.parametrize(
    ("name", "other"),
    [("Xəzər Market", "Xəzər Bank"), ("Araz", "Bravo"), ("Ağ Ev", "Ay Ev"), ("!!", "Araz")],
)
def test_other_names_do_not(name, other):
    assert not look_alike(name, [other])


@pytest.mark.parametrize("name", ["Ə ı Ğ Ş ç Ö ü", "İçərişəhər 24", "O'Reilly & Co.", "Магазин"])
def test_azerbaijani_letters_are_of_one_script(name):
    assert not is_of_mixed_scripts(name)


@pytest.mark.parametrize("name", ["Xəzər Mаrket", "Ραzar"])  # noqa: RUF001 - other scripts
def test_letters_of_two_scripts_are_mixed_thr_2(name):
    assert is_of_mixed_scripts(name)
