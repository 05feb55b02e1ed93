"""The delivery manifest: what was asked, agreed, delivered and withheld (P-25). Pure.

A function of the agreement and of what is delivered, never of what else the vault holds. Reasons:

    not_agreed     asked for and refused, whether the vault has it or not
    coarsened      agreed in a coarser form, named beside it, whether it is in this answer or not
    not_filled_in  agreed, and not in the whole snapshot
    out_of_range   the same, where the agreement covers a part of the collection's records only: it
                   does not say whether there are others

The last two are said only where the whole snapshot is in one answer.
"""

from __future__ import annotations

from collections.abc import Collection as Names
from collections.abc import Iterable, Mapping
from typing import Any

from consent.policy import Terms


def manifest(
    terms: Terms, collection: str | None, delivered: Names[str], *, is_whole: bool
) -> dict[str, Any]:
    """Return the manifest of an answer about one collection, or about all for None."""

    def concerned(names: Iterable[str]) -> list[str]:
        return sorted(n for n in names if collection in (None, n.partition(".")[0]))

    agreed, denied = concerned(terms.attributes), concerned(terms.denied)
    forms = {name: terms.coarsenings[name] for name in concerned(terms.coarsenings)}
    withheld = withheld_by_agreement(denied, forms)
    if is_whole:
        withheld += [
            {"attribute": name, "reason": _absence(terms, name)}
            for name in agreed
            if name not in delivered
        ]
    return {
        "asked": sorted([*agreed, *denied]),
        "agreed": agreed,
        "delivered": sorted(delivered),
        "withheld": withheld,
    }


def withheld_by_agreement(
    denied: Iterable[str], coarsenings: Mapping[str, str]
) -> list[dict[str, str]]:
    """Return what an agreement itself withholds, whatever the vault holds."""
    refused = [{"attribute": name, "reason": "not_agreed"} for name in sorted(denied)]
    coarse = [
        {"attribute": name, "reason": "coarsened", "coarsening": coarsenings[name]}
        for name in sorted(coarsenings)
    ]
    return [*refused, *coarse]


def _absence(terms: Terms, name: str) -> str:
    collection = name.partition(".")[0]
    is_partial = (
        collection in terms.data_from or collection in terms.primary or collection in terms.chosen
    )
    return "out_of_range" if is_partial else "not_filled_in"
