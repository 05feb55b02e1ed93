"""The vault's pages: forms from the catalogue, history, conflicts, search (UI-12, UI-19, CUX-8)."""

from __future__ import annotations

import re
from uuid import UUID

from api.web.vault import bulk
from pds import record_lists
from pds.catalogue import CATALOGUE
from pds.ids import random_uuid
from pds.records import Draft

RECORD = re.compile(r'href="(/vault/contact/[0-9a-f-]{36})"')


def add(browser, **fields):
    """Add a contact point and return its page's path."""
    page = browser.get("/vault/contact/new")
    done = browser.submit(page, "email", **fields)
    assert done.location == "/vault/contact", done.text
    return RECORD.findall(browser.get("/vault/contact").text)[-1]


def test_an_empty_vault_says_what_to_do_first(hers):
    """UI-23"""
    page = hers.get("/vault")

    assert "Your vault is empty" in page.text
    assert 'href="/vault/profile/new"' in page.text
    assert 'href="/imports"' in page.text


def test_every_collection_has_a_form_with_a_label_and_help_for_each_field(hers):
    """CUX-4"""
    for name, kind in CATALOGUE.collections.items():
        page = hers.get(f"/vault/{name}/new")
        for field in kind.fields.values():
            assert (f'id="{field.name}"' in page.text) == field.editable, field.qualified_name
            if field.editable:
                named = (f'for="{field.name}"', f'<fieldset class="field" id="{field.name}"')
                assert any(each in page.text for each in (*named, 'class="tick"'))


def test_what_is_added_is_listed_and_counted(hers):
    add(hers, email="aysel@poct.example", label="home", primary="on")

    assert "aysel@poct.example" in hers.get("/vault/contact").text
    assert "Your vault is empty" not in hers.get("/vault").text


def test_a_mistake_is_explained_beside_its_field_and_nothing_typed_is_lost(hers):
    """UI-19"""
    answer = hers.submit(hers.get("/vault/contact/new"), "email", email="not an address")

    assert answer.status == 422
    assert "<title>Error:" in answer.text
    assert 'href="#email"' in answer.text
    assert 'value="not an address"' in answer.text
    assert 'aria-invalid="true"' in answer.text


def test_mistakes_are_explained_in_azerbaijani_too(hers):
    hers.post("/preferences", {"csrf": hers.token(), "locale": "az"})
    answer = hers.submit(hers.get("/vault/contact/new"), "email", email="not an address")

    assert "<title>Xəta:" in answer.text
    assert "E-poçt ünvanını tam yazın" in answer.text


def test_what_is_typed_is_shown_as_text_and_never_as_markup(hers):
    path = add(hers, email="aysel@poct.example")
    hers.submit(
        hers.get("/vault/profile/new"), "given_name", given_name="<script>alert(1)</script>"
    )

    for page in ("/vault/profile", "/vault?q=script", path):
        assert "<script>alert" not in hers.follow(hers.get(page)).text


def test_an_older_version_stands_in_the_history(hers):
    path = add(hers, email="old@poct.example")
    done = hers.submit(hers.get(path), "email", email="new@poct.example")
    page = hers.get(path)

    assert done.status == 303
    assert page.page.form("email").fields["email"] == ["new@poct.example"]
    assert "old@poct.example" in page.text.partition("<h2>History</h2>")[2]


def test_a_change_from_elsewhere_is_shown_beside_what_was_typed(hers):
    path = add(hers, email="first@poct.example")
    mine = hers.get(path)
    hers.submit(hers.get(path), "email", email="elsewhere@poct.example")

    answer = hers.submit(mine, "email", email="mine@poct.example")
    again = hers.submit(answer, "email")

    assert answer.status == 409
    assert "elsewhere@poct.example" in answer.text
    assert answer.page.form("email").fields["email"] == ["mine@poct.example"]
    assert again.status == 303
    assert "mine@poct.example" in hers.get("/vault/contact").text


def test_deleting_asks_first_and_then_it_is_gone(hers):
    path = add(hers, email="aysel@poct.example")
    asked = hers.get(f"{path}/delete")

    assert "aysel@poct.example" in hers.get("/vault/contact").text
    assert hers.submit(asked, "version").location.startswith("/vault/contact?deleted=")
    assert hers.get(path).status == 404
    assert "aysel@poct.example" not in hers.get("/vault/contact").text


def test_a_deletion_is_undone_from_the_next_page(hers):
    """The record is there again under its old address, with the deletion in its history."""
    path = add(hers, email="aysel@poct.example")
    listed = hers.follow(hers.submit(hers.get(f"{path}/delete"), "version"))

    undone = hers.follow(hers.submit(listed, "deleted"))
    again = hers.follow(hers.submit(listed, "deleted"))

    assert "It is back in your vault" in undone.text
    assert "aysel@poct.example" in undone.text
    assert "Nothing to bring back" in again.text
    assert "Version 2, of" in hers.get(path).text


def test_a_deletion_of_what_is_there_again_says_so(aysel, hers):
    path = add(hers, email="aysel@poct.example")
    listed = hers.follow(hers.submit(hers.get(f"{path}/delete"), "version"))
    add(hers, email="Aysel@poct.example")

    undone = hers.follow(hers.submit(listed, "deleted"))

    assert "it would be there twice" in undone.text
    assert aysel.records.counts()["contact"] == 1


def test_what_was_deleted_is_listed_and_brought_back(hers):
    """P-21: also the record of a collection of one, which is blanked."""
    path = add(hers, email="aysel@poct.example")
    hers.submit(hers.get("/vault/profile/new"), "given_name", given_name="Aysel")
    profile = hers.get("/vault/profile").location
    hers.submit(hers.get(f"{path}/delete"), "version")
    blanked = hers.follow(hers.submit(hers.get(f"{profile}/delete"), "version"))

    listed = hers.get("/vault/recently-deleted")
    hers.submit(listed, "deleted")
    hers.submit(blanked, "deleted")

    assert "aysel@poct.example" in listed.text
    assert hers.get(path).status == 200
    assert hers.get(profile).page.form("given_name").fields["given_name"] == ["Aysel"]
    assert "Nothing was deleted" in hers.get("/vault/recently-deleted").text


def test_a_deletion_of_another_person_is_not_undone(world, hers, new_browser):
    """Sequence numbers are a vault's own: the same ones name nothing of anybody else's."""
    path = add(hers, email="aysel@poct.example")
    undo = hers.submit(hers.get(f"{path}/delete"), "version").location.partition("=")[2]
    world.person("mallory")
    mallory = new_browser()
    mallory.sign_in("mallory")

    answer = mallory.post(
        "/vault/recently-deleted/undo", {"csrf": mallory.token(), "deleted": undo}
    )

    assert "Nothing to bring back" in mallory.follow(answer).text
    assert hers.get(path).status == 404


def test_a_record_that_changed_after_the_question_is_not_deleted(hers):
    path = add(hers, email="aysel@poct.example")
    asked = hers.get(f"{path}/delete")
    hers.submit(hers.get(path), "email", email="changed@poct.example")

    assert hers.submit(asked, "version").location == f"{path}/delete"
    assert hers.get(path).status == 200


def test_a_collection_of_one_opens_its_record(hers):
    """P-21"""
    hers.submit(hers.get("/vault/profile/new"), "given_name", given_name="Aysel")
    second = hers.submit(hers.get("/vault/profile/new"), "given_name", given_name="Leyla")
    page = hers.follow(hers.get("/vault/profile"))

    assert second.location == "/vault/profile"
    assert page.page.form("given_name").fields["given_name"] == ["Aysel"]


def test_a_record_is_no_record_of_another_collection(hers):
    path = add(hers, email="aysel@poct.example")

    assert hers.get(path.replace("/contact/", "/addresses/")).status == 404


def test_another_persons_record_looks_like_none(world, hers, new_browser):
    path = add(hers, email="aysel@poct.example")
    world.person("mallory")
    mallory = new_browser()
    mallory.sign_in("mallory")
    token = mallory.token()

    foreign, absent = path, f"/vault/contact/{random_uuid()}"
    for suffix in ("", "/delete"):
        answers = [mallory.get(f"{one}{suffix}") for one in (foreign, absent)]
        assert [answer.status for answer in answers] == [404, 404]
        posted = [mallory.post(f"{one}{suffix}", {"csrf": token}) for one in (foreign, absent)]
        assert [answer.status for answer in posted] == [404, 404]
    assert "aysel@poct.example" in hers.get("/vault/contact").text


def test_search_finds_letters_that_another_keyboard_typed(hers):
    """UI-12"""
    hers.submit(hers.get("/vault/profile/new"), "family_name", family_name="QULİYEV")

    assert "QULİYEV" in hers.get("/vault?q=quliyev").text
    assert "QULİYEV" in hers.get("/vault?q=Quliyev").text
    assert "Nothing found" in hers.get("/vault?q=nobody").text


def test_a_long_list_has_pages_without_a_script(aysel, hers):
    """UI-23"""
    for number in range(26):
        aysel.save("contact", email=f"number{number}@poct.example")
    first = hers.get("/vault/contact")
    following = re.search(r'href="(/vault/contact\?page=2)" rel="next"', first.text)

    assert "number0@" in first.text
    assert "number9@" not in first.text
    assert "number9@" in hers.get(following[1]).text
    assert "Page 2 of 2" in hers.get("/vault/contact?page=99").text


def test_a_list_is_searched_and_put_in_order(aysel, hers):
    for topic in ("Şahmat", "ağac", "Çay", "çörək"):
        aysel.save("interests", topic=topic)

    def titles(query):
        return re.findall(r'href="/vault/interests/[0-9a-f-]{36}">([^<]+)<', hers.get(query).text)

    assert titles("/vault/interests") == ["ağac", "Çay", "çörək", "Şahmat"]
    assert titles("/vault/interests?order=changed") == ["çörək", "Çay", "ağac", "Şahmat"]
    assert titles("/vault/interests?q=sahmat") == ["Şahmat"]
    assert "Nothing found" in hers.get("/vault/interests?q=nobody").text


def test_a_long_search_goes_on_in_slices_without_a_script(aysel, hers, monkeypatch):
    """UI-23: what was found so far is shown, and how far it came."""
    for number in range(7):
        aysel.save("interests", topic=f"topic {number}")
    monkeypatch.setattr(record_lists, "SLICE_RECORDS", 3)
    monkeypatch.setattr(record_lists, "_FEWEST_IN_PART", 3)

    pages = [hers.get("/vault?q=topic") for _ in range(3)]

    again = '<noscript><meta http-equiv="refresh"'
    assert [again in page.text for page in pages] == [True, True, False]
    assert "Looked through 3 of 7" in pages[0].text
    assert "Looked through 6 of 7" in pages[1].text
    assert 'href="/vault?q=topic"' in pages[0].text
    assert "Looked through" not in pages[2].text
    assert "7 found" in pages[2].text


def test_money_is_typed_and_shown_with_the_readers_decimal_sign(hers):
    """UI-15"""
    hers.post("/preferences", {"csrf": hers.token(), "locale": "az"})
    page = hers.get("/vault/products/new")
    kind = re.search(r'<option value="([a-z_]+)"', page.text)[1]
    done = hers.submit(page, "product_type", product_type=kind, **{"price.value": "12,5"})
    listed = hers.get(done.location)
    path = re.search(r'href="(/vault/products/[0-9a-f-]{36})"', listed.text)[1]

    assert hers.get(path).page.form("price.value").fields["price.value"] == ["12,5"]
    assert "12,5 ₼" in hers.get(f"{path}/delete").text


def test_an_unknown_collection_is_a_page_that_says_so(hers):
    answer = hers.get("/vault/nothing")

    assert answer.status == 404
    assert "There is no such page" in answer.text


def test_history_says_who_wrote_each_version_and_an_older_one_is_restored(hers):
    """P-21: restoring is a further version."""
    path = add(hers, email="old@poct.example")
    hers.submit(hers.get(path), "email", email="new@poct.example")

    restored = hers.follow(hers.submit(hers.get(path), "older"))
    stale = hers.get(path)
    hers.submit(hers.get(path), "email", email="newer@poct.example")
    refused = hers.follow(hers.submit(stale, "older"))

    assert "The older version stands again" in restored.text
    assert restored.page.form("email").fields["email"] == ["old@poct.example"]
    assert "you, from version 1" in restored.text
    assert "Nothing was restored" in refused.text
    assert refused.page.form("email").fields["email"] == ["newer@poct.example"]


def test_a_list_and_a_record_say_what_was_imported(world, aysel, hers):
    imports = world.services.imports(aysel.visitor)
    card = b"BEGIN:VCARD\r\nVERSION:4.0\r\nFN:Elvin Quliyev\r\nEND:VCARD\r\n"
    running = imports.stage("vcard", card)
    while imports.advance(running).state != "done":
        pass

    listed = hers.get("/vault/address_book")
    path = re.search(r'href="(/vault/address_book/[0-9a-f-]{36})"', listed.text)[1]

    assert "imported from: Address book (vCard)" in listed.text
    assert "imported from: Address book (vCard)" in hers.get(path).text
    assert 'name="name"' in hers.get(path).text


def test_several_records_are_deleted_at_once_and_brought_back(aysel, hers):
    """What is deleted is what was shown; one that changed meanwhile stops it."""
    for number in range(4):
        aysel.save("interests", topic=f"topic {number}")
    ids = re.findall(r'name="id" value="([0-9a-f-]{36})"', hers.get("/vault/interests").text)
    asked = hers.submit(hers.get("/vault/interests"), "id", id=ids[:2], what="selected")
    nothing = hers.follow(hers.submit(hers.get("/vault/interests"), "id", what="selected", id=[]))
    first = aysel.records.get(UUID(ids[0]))
    aysel.records.save(Draft("interests", {"topic": "changed"}, first.id, first.version))

    stopped = hers.follow(hers.submit(asked, "record"))
    again = hers.submit(hers.get("/vault/interests"), "id", id=ids[:2], what="selected")
    done = hers.follow(hers.submit(again, "record"))

    assert "Delete 2 records?" in asked.text
    assert "Select something first" in nothing.text
    assert "Nothing was deleted" in stopped.text
    assert "2 records" in done.text
    assert "4 records" in hers.follow(hers.submit(done, "deleted")).text


def test_all_that_is_found_is_deleted_in_slices_without_a_script(aysel, hers, monkeypatch):
    """P-35; what was written after the question stays."""
    monkeypatch.setattr(bulk, "BATCH_RECORDS", 2)
    for number in range(3):
        aysel.save("interests", topic=f"red {number}")
    aysel.save("interests", topic="green")
    page = hers.get("/vault/interests?q=red")
    asked = hers.submit(page, "id", what="all")
    aysel.save("interests", topic="red, but late")

    going = hers.submit(asked, "through")
    done = hers.follow(hers.submit(going, "through"))

    assert "Delete 3 records?" in asked.text
    assert "Deleted 2 of" in going.text
    assert "2 records" in done.text
    assert "green" in done.text
    assert "red, but late" in done.text
    assert "5 records" in hers.follow(hers.submit(done, "deleted")).text


def test_where_nothing_went_no_undo_is_offered(aysel, hers):
    aysel.save("interests", topic="red")
    form = {"csrf": hers.token(), "q": "green", "through": "9" * 30, "first": "", "last": ""}

    assert hers.post("/vault/interests/delete/found", form).location == "/vault/interests"


def test_records_of_another_person_are_not_deleted_with_ones_own(world, hers, new_browser):
    """A foreign id among those selected is as one that is not there."""
    path = add(hers, email="aysel@poct.example")
    world.person("mallory")
    mallory = new_browser()
    mallory.sign_in("mallory")
    token = {"csrf": mallory.token()}

    for record_id in (path.rpartition("/")[2], str(random_uuid())):
        asked = mallory.post("/vault/contact/delete", token | {"id": record_id, "what": "selected"})
        sent = mallory.post("/vault/contact/delete/selected", token | {"record": f"{record_id} 1"})
        restored = mallory.post(
            f"/vault/contact/{record_id}/restore", token | {"version": "1", "older": "1"}
        )
        assert (asked.location, sent.location) == ("/vault/contact", "/vault/contact")
        assert restored.status == 404
    assert hers.get(path).status == 200


def test_months_are_drawn_and_summed_up_from_what_was_booked(aysel, hers):
    empty = hers.get("/vault/transactions/months")
    for day, value in (("2026-09-30", "-10.50"), ("2026-10-03", "-2.25"), ("2026-10-05", "100")):
        money = {"value": value, "currency": "AZN"}
        aysel.save("transactions", date=day, amount=money, payee="Market")

    page = hers.get("/vault/transactions/months")

    assert "No transactions yet" in empty.text
    assert "October 2026" in page.text
    assert "2.25 AZN" in page.text
    assert "12.75 AZN" in page.text
    assert "<svg" in page.text
    assert "2 found" in hers.get("/vault/transactions?q=2026-10").text


def test_life_events_stand_on_a_line_and_people_by_letter(aysel, hers):
    aysel.save("life_events", event="moving", date="2020-01-02")
    aysel.save("life_events", event="marriage", date="2999-01-01")
    for number in range(26):
        aysel.save("address_book", name=f"{'İnci' if number else 'Ağa'} {number:02}")

    events, people = hers.get("/vault/life_events").text, hers.get("/vault/address_book").text
    letters = '<a href="/vault/address_book">A</a><a href="/vault/address_book">İ</a>'

    assert events.index("<h2>2999</h2>") < events.index("expected") < events.index("<h2>2020</h2>")
    assert letters in people


def test_intentions_and_preferences_are_asked_for_in_words_of_their_own(hers):
    page = hers.get("/vault/intentions/new")
    done = hers.submit(
        page,
        "intention",
        intention="A family car",
        by_date="2020-05-01",
        **{"budget.value": "30000"},
    )
    listed = hers.follow(done)

    assert "What are you planning?" in page.text
    assert "By when, and for how much?" in page.text
    assert "at most 30,000.00 AZN" in listed.text
    assert "its day has passed" in listed.text
    assert "How may you be reached?" in hers.get("/vault/preferences/new").text
    assert (
        'type="radio" name="preferred_channel" value="email"'
        in hers.get("/vault/preferences/new").text
    )


def test_a_form_says_what_it_needs_before_anything_is_wrong(hers):
    """UI-19"""
    assert "Fill in exactly one of these: E-mail, Phone." in hers.get("/vault/contact/new").text
    assert "Fill in" not in hers.get("/vault/bookmarks/new").text
