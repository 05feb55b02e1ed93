"""docs/consent-model.md draws the table of acts, and nothing else (CM-12)."""

from __future__ import annotations

import re

import pytest

from api.oauth.invariants import ALL_INVARIANTS
from consent.lifecycle import MOVES, OBJECTS, transitions
from tests.support.documents import code_blocks, document, first_cells

PAGE = "docs/consent-model.md"
_ARROW = re.compile(r"^    (\S+) --> (\S+): (\w+) \((\w+)\)$", re.MULTILINE)


def drawn(name):
    text = document(PAGE)
    section = text[text.index(f"## {name.capitalize()}\n") :]
    return _ARROW.findall(code_blocks(section, "mermaid")[0])


@pytest.mark.parametrize("name", OBJECTS)
def test_each_diagram_is_the_table(name):
    tabled = {
        (
            (each.source or "[*]").removeprefix("dpv:"),
            each.target.removeprefix("dpv:"),
            each.act.value,
            each.actor.value,
        )
        for each in transitions(name)
    }

    found = drawn(name)

    assert len(found) == len(set(found))
    assert set(found) == tabled


def test_each_act_is_listed_with_its_event_and_what_it_owes():
    text = document(PAGE)
    lines = re.findall(r"^\| (`\w+`.*?) \| `(.+?)` \| .+ \| (yes|) ?\|$", text, re.MULTILINE)
    listed = {
        act: (event, owes == "yes")
        for acts, event, owes in lines
        for act in re.findall(r"`(\w+)`", acts)
    }

    assert listed == {
        move.act.value: (move.event.value, move.owes_deletion) for move in MOVES.values()
    }


def test_each_invariant_is_listed():
    """CM-13."""
    text = document(PAGE) + "\n## End\n"

    assert first_cells(text, "## What must hold", "## End") == {
        each.rule for each in ALL_INVARIANTS
    }
