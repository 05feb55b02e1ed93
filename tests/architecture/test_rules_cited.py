"""`docs/conformance.md`: every rule that the source cites, whether it holds, and what shows it."""

from __future__ import annotations

import re

from tests.support.documents import CITATION, RULE, document, read, rules_cited
from tests.support.source import ROOT

PAGE = "docs/conformance.md"
STATES = ("tested", "built", "partly", "no test yet", "later", "not in 1.0")
CITING = ("pds", "consent", "api", "connector", "witness", "migrations", "tests", "bench", "docs")
SUFFIXES = {".py", ".html", ".yaml", ".css", ".js", ".mjs", ".md"}
OAUTH = {"DEC", "AL", "EXT", "FAPI", "DPoP", "PAR", "RAR", "GM", "BCP", "OIDF", "THR"}
CURVES = {"P-192", "P-256", "P-384", "P-521"}


def test_each_rule_stands_once_with_a_state_that_is_explained():
    found = list(RULE.finditer(document(PAGE)))

    assert len({match[1] for match in found}) == len(found) > 0
    for match in found:
        state, colon, why = match[3].partition(": ")
        assert state in STATES, match[0]
        assert bool(colon and why) == (state == "partly"), match[0]


def test_every_rule_that_the_source_cites_is_explained():
    found = (path for folder in CITING for path in (ROOT / folder).rglob("*"))
    ours = (path for path in found if "node_modules" not in path.parts)
    cited = {
        rule for path in ours if path.suffix in SUFFIXES for rule in CITATION.findall(read(path))
    }
    explained = {match[1] for match in RULE.finditer(document(PAGE))}

    assert cited - CURVES - explained == set()


def test_no_rule_of_oauth_goes_untested_dec_11():
    """Each is tested, or it is said why not."""
    untested = {
        match[1]
        for match in RULE.finditer(document(PAGE))
        if match[1].partition("-")[0] in OAUTH and match[3] in {"built", "no test yet"}
    }

    assert untested == set()


def test_tests_named_beside_a_rule_cite_it():
    for match in RULE.finditer(document(PAGE)):
        named = re.findall(r"`([^`]+)`", match[4])
        assert bool(named) == (match[3] == "tested"), match[0]
        for name in named:
            assert match[1] in rules_cited(read(ROOT / "tests" / name)), match[0]
