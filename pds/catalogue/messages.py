"""Sentences for broken rules, in both languages; `messages.yaml` holds them by rule."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pds.catalogue.files import read_yaml
from pds.catalogue.wording import read_wordings
from pds.errors import Issue

if TYPE_CHECKING:
    from pds.catalogue.model import Collection

MESSAGES = read_wordings(read_yaml("messages.yaml"))


def issue(collection: Collection, field: str, rule: str, **params: int) -> Issue:
    """Return an issue with its English message; it never quotes the value."""
    return Issue(field, rule, _sentence(collection, field, rule, "en", params), dict(params))


def message(collection: Collection, found: Issue, locale: str | None) -> str:
    """Say in the reader's language what `found` says in English."""
    return _sentence(collection, found.field, found.rule, locale, found.params)


def requirement(collection: Collection, locale: str | None) -> str:
    """Say which attributes a record needs one of, before anything is wrong; "" if none."""
    for group, rule in (
        (collection.exactly_one_of, "exactly_one_of"),
        (collection.any_of, "any_of"),
    ):
        if group:
            return _sentence(collection, group[0], rule, locale, {})
    return ""


def _sentence(
    collection: Collection,
    field: str,
    rule: str,
    locale: str | None,
    params: dict[str, str | int] | dict[str, int],
) -> str:
    attribute = collection.fields.get(field)
    group = collection.exactly_one_of if rule == "exactly_one_of" else collection.any_of
    return (
        MESSAGES[rule]
        .text(locale)
        .format(
            label=attribute.label.text(locale) if attribute else field,
            example=attribute.example(locale) if attribute else "",
            names=", ".join(collection.attributes[name].label.text(locale) for name in group),
            **params,
        )
    )
