"""The field filter of a grant: what is agreed of a record, compiled once (design section 4)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from typing import TYPE_CHECKING

from pds.catalogue.coarsening import Transform
from pds.errors import NotFoundError

if TYPE_CHECKING:
    from pds.catalogue.model import Collection

_Filter = Callable[[Mapping[str, object]], dict[str, object]]


def compile_filter(
    collection: Collection,
    attributes: frozenset[str],
    coarsenings: Mapping[str, str],
    *,
    today: Callable[[], date] | None,
) -> _Filter:
    """Return the filter of one collection; see `Collection.compile_filter`."""
    wanted = {_own_name(collection, name) for name in _of(collection, attributes)}
    coarse = {
        _own_name(collection, name): _transform(collection, name, coarsenings[name])
        for name in _of(collection, coarsenings)
    }
    plain = tuple(name for name in collection.attributes if name in wanted - coarse.keys())
    companions = tuple(collection.companions)
    if not coarse:
        return _plain_filter(plain, companions)
    if today is None:
        raise ValueError("coarsenings need to know the day")
    # Who agreed to a coarse value of an attribute that is not agreed gets nothing of it.
    agreed = tuple(
        (name, coarse[name]) for name in collection.attributes if name in wanted & coarse.keys()
    )
    return _coarse_filter(plain, agreed, companions, today)


def _plain_filter(plain: tuple[str, ...], companions: tuple[str, ...]) -> _Filter:
    def keep(data: Mapping[str, object]) -> dict[str, object]:
        kept = {name: data[name] for name in plain if name in data}
        return _accompanied(kept, data, companions)

    return keep


def _coarse_filter(
    plain: tuple[str, ...],
    coarse: tuple[tuple[str, Transform], ...],
    companions: tuple[str, ...],
    today: Callable[[], date],
) -> _Filter:
    def keep(data: Mapping[str, object]) -> dict[str, object]:
        kept = {name: data[name] for name in plain if name in data}
        for name, transform in coarse:
            if name in data:
                value = transform(data[name], data, today())
                if value is not None:
                    kept[name] = value
        return _accompanied(kept, data, companions)

    return keep


def _accompanied(
    kept: dict[str, object], data: Mapping[str, object], companions: tuple[str, ...]
) -> dict[str, object]:
    # A companion alone would tell that a record exists of which nothing was agreed (P-22).
    if kept:
        for name in companions:
            if name in data:
                kept[name] = data[name]
    return kept


def _of(collection: Collection, names: frozenset[str] | Mapping[str, str]) -> list[str]:
    return [name for name in names if name.partition(".")[0] == collection.name]


def _own_name(collection: Collection, qualified_name: str) -> str:
    name = qualified_name.partition(".")[2]
    if name not in collection.attributes:
        raise NotFoundError(f"no attribute {qualified_name!r}")
    return name


def _transform(collection: Collection, qualified_name: str, coarsening: str) -> Transform:
    known = collection.attributes[_own_name(collection, qualified_name)].coarsenings
    if coarsening not in known:
        raise NotFoundError(f"no coarsening {coarsening!r} of {qualified_name!r}")
    return known[coarsening].transform
