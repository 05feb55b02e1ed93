"""What differs between two versions of a template: material, or cosmetic (LEAD-12).

Pure. Every member is named by its JSON pointer (RFC 6901); items of attributes by their name, since
their order says nothing. Cosmetic is a change of words where a member of its own says what is meant
(`name`, the reasons, `retention.text`, `complaint`), and one of spacing, punctuation or case. A
change of `purpose_text` or `if_refused` is material: nothing else says what those words say.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from pds.errors import pointer
from pds.text import az_fold

_NO_TERMS = frozenset({"type", "id", "version", "organisation"})
_ITEMS = ("attributes", "optional_attributes")
_MATERIAL_WORDS = ("purpose_text", "if_refused")
_ABSENT = object()
# What a /1 document says by leaving a member out.
_DEFAULTS: Mapping[str, object] = {"instances": {}}


class Weight(StrEnum):
    """Whether a change needs the person's consent again."""

    MATERIAL = "material"
    COSMETIC = "cosmetic"


@dataclass(frozen=True, slots=True)
class Difference:
    """One member that differs; None stands for absent on that side."""

    pointer: str
    weight: Weight
    before: object
    after: object


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Difference]:
    """Return what differs, in the order of the later document; equal ones give nothing."""
    found: list[Difference] = []
    for member in _members(before, after):
        old, new = _value(before, member), _value(after, member)
        if member in _ITEMS:
            old, new = _by_name(old), _by_name(new)
        found += _of_value(pointer(member), member, old, new)
    return found


def is_material(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    """Tell whether anything but words differs."""
    return any(each.weight is Weight.MATERIAL for each in differences(before, after))


def _members(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    names = [*after, *(name for name in before if name not in after)]
    return [name for name in names if name not in _NO_TERMS]


def _value(document: Mapping[str, Any], member: str) -> object:
    return document.get(member, _DEFAULTS.get(member, _ABSENT))


def _by_name(items: object) -> dict[str, object]:
    if not isinstance(items, list):
        return {}
    return {
        item["name"]: {"coarsenings": [], **{k: v for k, v in item.items() if k != "name"}}
        for item in items
    }


def _of_value(where: str, member: str, before: object, after: object) -> Iterator[Difference]:
    if before == after:
        return
    # Alternatives and lists of names are sets: another order is no difference.
    if isinstance(before, list) and isinstance(after, list) and _same_set(before, after):
        return
    if isinstance(before, dict) and isinstance(after, dict):
        for name in [*after, *(each for each in before if each not in after)]:
            inner = f"{where}{pointer(name)}"
            yield from _of_value(inner, member, before.get(name, _ABSENT), after.get(name, _ABSENT))
        return
    weight = _weight(where, member, before, after)
    yield Difference(where, weight, _shown(before), _shown(after))


def _weight(where: str, member: str, before: object, after: object) -> Weight:
    is_wording = where.endswith(("/az", "/en")) and member != "data_from"
    if not is_wording or not isinstance(before, str) or not isinstance(after, str):
        return Weight.MATERIAL
    if member in _MATERIAL_WORDS and _letters(before) != _letters(after):
        return Weight.MATERIAL
    return Weight.COSMETIC


def _letters(words: str) -> str:
    # English capitals fold to a dotless i too: here the two letters are one.
    return "".join(each for each in az_fold(words).replace("ı", "i") if each.isalnum())


def _same_set(before: list[object], after: list[object]) -> bool:
    return sorted(map(str, before)) == sorted(map(str, after))


def _shown(value: object) -> object:
    return None if value is _ABSENT else value
