"""What the server needs at run time is permissively licensed (D18)."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import PackageNotFoundError, distribution

import pytest
from packaging.requirements import Requirement

from tests.support.source import ROOT

PERMISSIVE = {
    "0BSD",
    "Apache Software License",
    "Apache-2.0",
    "BSD License",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "ISC",
    "MIT",
    "MIT License",
    "MIT-0",
    "PSF-2.0",
    "The Unlicense (Unlicense)",
    "Unlicense",
}
# Not permissive in the strict sense, but nothing that embeds the server has to be published for
# them: used unchanged, as separate packages that anyone may replace.
WEAK_COPYLEFT = {
    "certifi": "MPL-2.0: a list of certificates",
    "orjson": "MPL-2.0 AND (Apache-2.0 OR MIT): files of its own stay under MPL",
}


def runtime_distributions():
    """Return every distribution that the declared dependencies lead to, by name."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    waiting = [(Requirement(text), frozenset()) for text in project["dependencies"]]
    found = {}
    while waiting:
        requirement, extras = waiting.pop()
        marker = requirement.marker
        if marker and not any(marker.evaluate({"extra": extra}) for extra in extras or {""}):
            continue
        name = re.sub(r"[-_.]+", "-", requirement.name).lower()
        try:
            current = distribution(name)
        except PackageNotFoundError:
            found.setdefault(name, None)
            continue
        # Once more for extras that were not asked for before.
        seen = found.get(name)
        if seen is not None and requirement.extras <= seen[1]:
            continue
        asked = requirement.extras | (seen[1] if seen else set())
        found[name] = (current, asked)
        waiting += [(Requirement(text), frozenset(asked)) for text in current.requires or []]
    return found


DISTRIBUTIONS = runtime_distributions()


def licences(metadata):
    expression = metadata.get("License-Expression")
    if expression:
        return expression
    classifiers = [
        one.rpartition(" :: ")[2]
        for one in metadata.get_all("Classifier") or []
        if one.startswith("License :: ")
    ]
    return " AND ".join(classifiers) or metadata.get("License") or "none given"


def is_permissive(expression):
    """Judge an SPDX expression: every AND part needs one permissive OR part."""
    parts = re.split(r"\s+AND\s+", expression)
    return all(
        any({choice, choice.strip("()")} & PERMISSIVE for choice in re.split(r"\s+OR\s+", part))
        for part in parts
    )


def test_every_dependency_is_here_to_be_judged():
    assert [name for name, found in DISTRIBUTIONS.items() if found is None] == []
    assert len(DISTRIBUTIONS) > 20


@pytest.mark.parametrize("name", sorted(DISTRIBUTIONS))
def test_a_dependency_is_permissively_licensed(name):
    current, _ = DISTRIBUTIONS[name]
    expression = licences(current.metadata)

    assert is_permissive(expression) != (name in WEAK_COPYLEFT), expression


@pytest.mark.parametrize(
    "expression", ["GPL-3.0-only", "MIT AND GPL-3.0-only", "AGPL-3.0-or-later", "none given"]
)
def test_copyleft_is_not_taken_for_permissive(expression):
    assert not is_permissive(expression)
