"""What a grant lets out of a vault: the same for its organisation's read and its person's look.

    view      which rows of which collections, by the sealed terms, with the keys the grant holds
    content   the answer made of them: records under the grant's own names, and the manifest

Nothing here asks whether it is permitted, counts or logs: that is the reader's
(`api.resources.reading`). Because the owner's page comes from here too, it cannot show anything
else than what the organisation gets.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

from api.oauth.live import LiveGrant, Opened
from consent.grants import read_terms
from consent.manifests import manifest
from consent.policy import Terms
from consent.record_names import RecordNames
from pds.catalogue import CATALOGUE
from pds.feed import Change, CollectionView, GrantView
from pds.record_boxes import record_key

_VERSION_OFFSETS = 1 << 16


@dataclass(slots=True)
class Release:
    """What goes out for a grant, once it may."""

    deployment: bytes = field(repr=False)
    grant: LiveGrant
    opened: Opened
    today: Callable[[], date]
    names: RecordNames = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Derive the grant's own names for records."""
        self.names = RecordNames(self.opened.keys.key)

    def view(self, collection: str | None) -> GrantView:
        """Return what the grant sees of one collection, or of all for None."""
        views = _compiled(self.opened.terms_text, self.today)
        if collection is not None:
            views = {collection: views[collection]}
        return GrantView(
            deployment=self.deployment,
            bucket=self.grant.bucket,
            vault_id=self.grant.vault_id,
            collections=views,
            record_keys={
                held: record_key(key)
                for held, key in self.opened.collection_keys.items()
                if held[0] in views
            },
        )

    def content(
        self, collection: str | None, changes: list[Change], *, is_whole: bool
    ) -> dict[str, Any]:
        """Return the answer about some changes; `is_whole`: they are the whole snapshot."""
        grant, terms = self.grant, self.opened.terms
        return {
            "grant_id": str(grant.grant_id),
            "agreement": {"id": terms.agreement_id, "version": terms.agreement_version},
            "records": [_record(change, self.names, grant.client_id) for change in changes],
            "manifest": manifest(terms, collection, _delivered(terms, changes), is_whole=is_whole),
        }


@lru_cache(maxsize=4096)
def _compiled(terms_text: bytes, today: Callable[[], date]) -> Mapping[str, CollectionView]:
    # Keyed by the terms themselves, never by a grant's id (P-8).
    terms = read_terms(terms_text)
    views = {}
    for name in terms.collections:
        collection = CATALOGUE.collection(name)
        agreed = frozenset(
            attribute.name
            for attribute in collection.attributes.values()
            if attribute.qualified_name in terms.attributes
        )
        from_value = terms.data_from.get(name)
        # What else decides on whether and how the agreed attributes are told.
        decisive = {collection.range_field} if from_value and collection.range_field else set()
        for qualified, form in terms.coarsenings.items():
            if qualified in terms.attributes and qualified.partition(".")[0] == name:
                decisive.update(CATALOGUE.attribute(qualified).coarsenings[form].reads)
        views[name] = CollectionView(
            names=agreed | collection.companions.keys() | decisive,
            agreed=agreed,
            keep=collection.compile_filter(terms.attributes, terms.coarsenings, today=today),
            range_field=collection.range_field,
            from_value=from_value,
            records=terms.chosen.get(name),
            only_primary=name in terms.primary,
        )
    return views


def _delivered(terms: Terms, changes: list[Change]) -> set[str]:
    return {
        qualified
        for change in changes
        for name in change.data
        if (qualified := f"{change.collection}.{name}") in terms.attributes
    }


def _record(change: Change, names: RecordNames, client_id: UUID) -> dict[str, Any]:
    public = names.public(change.id)
    day = datetime.fromtimestamp(change.changed_second, UTC).strftime("%Y-%m-%dT00:00:00Z")
    record: dict[str, Any] = {
        "collection": change.collection,
        "id": str(public),
        # The grant's own number: it rises with what the grant may see, from a start that differs
        # from grant to grant (P-2, P-22).
        "version": public.int % _VERSION_OFFSETS + change.times_changed,
        # To the day: an instant that two organisations both see would join their records.
        "changed_at": day,
        "deleted": change.deleted,
        "author": {"kind": _author(change, client_id)},
    }
    if not change.deleted:
        record["data"] = change.data
    return record


def _author(change: Change, client_id: UUID) -> str:
    if change.author.kind == "owner":
        return "owner"
    return "you" if change.author.id == client_id else "organisation"
