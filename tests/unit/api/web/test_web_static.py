"""What is served with the pages: vendored, unchanged, and nothing from elsewhere (UI-5 to UI-9)."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import pytest

from api.web import assets

ROOT = Path(__file__).parents[4]
TEMPLATES = sorted((ROOT / "api" / "web" / "templates").rglob("*.html"))
LOCKS = [
    ROOT / "api" / "web" / "static" / "vendor" / "vendor.lock.json",
    ROOT / "tests" / "browser" / "vendor" / "vendor.lock.json",
]
# The test tool alone may be under a licence that asks for more.
PERMISSIVE = {"MIT", "ISC", "0BSD", "BSD-0-Clause"}


@pytest.mark.parametrize("lock", LOCKS, ids=["pages", "tests"])
def test_vendored_files_are_those_of_the_lock(lock):
    """UI-8, UI-9"""
    named = {LOCKS[0].name}
    for package in json.loads(lock.read_text("utf-8")):
        for name, sha256 in package["files"].items():
            named.add(name)
            content = (lock.parent / name).read_bytes()
            assert hashlib.sha256(content).hexdigest() == sha256, name
    assert {path.name for path in lock.parent.iterdir()} == named


def test_what_is_served_is_permissively_licensed():
    licences = {package["licence"] for package in json.loads(LOCKS[0].read_text("utf-8"))}

    assert licences <= PERMISSIVE


def test_what_is_served_is_small():
    """UI-8"""
    assert sum(len(each.content) for each in assets.files().values()) < 400_000


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_templates_load_nothing_from_elsewhere_and_run_nothing_inline(template):
    """UI-4, UI-5, UI-9"""
    text = template.read_text("utf-8")

    assert not re.search(r'(?:src|href|action)="(?:https?:)?//', text)
    assert not re.search(r"<script(?![^>]*\bsrc=)", text)
    assert "<style" not in text
    assert not re.search(r"\s(?:style|on\w+|hx-on[^=]*)=", text)
    assert "js:" not in text
    assert "|safe" not in text.replace(" ", "")


def test_every_icon_that_a_template_names_is_in_the_sprite():
    sprite = assets.files()["vendor/icons.svg"].content.decode()
    symbols = set(re.findall(r'<symbol id="([a-z0-9-]+)"', sprite))
    named = {
        name
        for template in TEMPLATES
        for call in re.findall(r"icon\(([^)]*)\)", template.read_text("utf-8"))
        for name in re.findall(r'"([a-z0-9-]+)"', call.partition(" if each.name")[0])
    }

    assert named
    assert named <= symbols


def test_the_url_of_a_file_changes_with_its_content():
    """UI-11"""
    content = assets.files()["app.css"].content

    assert assets.url("app.css").endswith(hashlib.sha256(content).hexdigest()[:16])


def test_no_own_style_writes_in_capitals():
    """UI-13: CSS capitals are wrong for Azerbaijani without `lang`, and hard to read with it."""
    assert b"text-transform" not in assets.files()["app.css"].content


def test_every_form_that_changes_something_carries_a_token():
    """SEC-S46"""
    for template in TEMPLATES:
        for form in re.findall(r"<form[^>]*>.*?</form>", template.read_text("utf-8"), re.DOTALL):
            if 'method="post"' in form:
                assert "token()" in form, (template.name, form[:80])
