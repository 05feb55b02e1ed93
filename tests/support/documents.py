"""The project's documents, as architecture tests read them, and the tables made from the code.

`python -m tests.support.documents` writes those anew: the errors in `docs/api.md`, and the tests
that cite each rule in `docs/conformance.md`.
"""

from __future__ import annotations

import re
import shlex
from functools import cache

from api.problems import CATALOGUE
from tests.support.source import ROOT

DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
MOST_TESTS_NAMED = 3
_TEST_NAME = re.compile(r"def (test_\w+)\(")
FAMILIES = (
    "P|TAK|LOG|CM|LEAD|DEC|AL|EXT|FAPI|DPoP|PAR|RAR|GM|BCP|OIDF|THR|SEC|REL|AUD|ORG|CON|CUX|UI|DEMO"
)
CITATION = re.compile(rf"\b(?:{FAMILIES})-[A-Z]?[0-9]+\b")
# In the name of a test: `test_what_is_no_jws_is_refused_dpop_d2`.
_CITATION_IN_A_NAME = re.compile(rf"(?<=_)({FAMILIES})_([A-Z]?[0-9]+)(?=_|$)", re.IGNORECASE)
_FAMILY = {family.lower(): family for family in FAMILIES.split("|")}
# A rule in docs/conformance.md: id, what it says, state, tests that cite it.
RULE = re.compile(
    r"^\| ([A-Za-z]+-[A-Z]?[0-9]+|D[0-9]+) \| (.+) \| (.+?) \| (.*?) ?\|$", re.MULTILINE
)
_ERRORS = re.compile(r"(<!-- errors:[^\n]*-->\n).*?(<!-- end -->)", re.DOTALL)
_FENCED = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)


def by_name(path):
    return path.relative_to(ROOT).as_posix()


@cache
def read(path):
    return path.read_text("utf-8")


def document(name):
    return read(ROOT / name)


def code_blocks(text, language):
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def code_spans(text):
    return re.findall(r"`([^`\n]+)`", _FENCED.sub("", text))


def command_lines(text):
    """Return every line of a shell block, continued lines joined, and every span of code."""
    blocks = "\n".join(code_blocks(text, "sh")).replace("\\\n", " ")
    return [*blocks.splitlines(), *code_spans(text)]


def invocations(text, programs):
    """Return the words of each line or span that calls one of some programs."""
    lines = [line for line in command_lines(text) if line.partition(" ")[0] in programs]
    return [shlex.split(line.replace("…", ""), comments=True) for line in lines]


def links(text):
    return re.findall(r"\]\(([^)\s]+)\)", text)


def headings(text):
    """Return the anchors of a document's headings."""
    titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title).strip().lower().replace(" ", "-") for title in titles}


def first_cells(text, start, end):
    """Return the code names in the first column of the tables of a section."""
    section = text[text.index(start) : text.index(end)]
    cells = re.findall(r"^\| (`.+?) \|", section, re.MULTILINE)
    return {name for cell in cells for name in re.findall(r"`([a-z_.-]+)`", cell)}


def with_errors(text):
    """Return `docs/api.md` with the table of errors as the code has them."""
    rows = "".join(
        f"| `{code}` | {status} | {title} | {what_to_do} |\n"
        for code, (status, title, what_to_do) in CATALOGUE.items()
    )
    table = f"\n| code | status | title | what to do |\n|---|---|---|---|\n{rows}\n"
    return _ERRORS.sub(lambda match: match[1] + table + match[2], text)


def rules_cited(text):
    """Return the rules that a module of tests cites, in words or in the names of its tests."""
    named = {
        f"{_FAMILY[family.lower()]}-{number.upper()}"
        for name in _TEST_NAME.findall(text)
        for family, number in _CITATION_IN_A_NAME.findall(name)
    }
    return named | set(CITATION.findall(text))


def with_tests(text):
    """Return `docs/conformance.md` with the tests that cite each rule now."""
    cited = {}
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for rule in rules_cited(read(path)):
            cited.setdefault(rule, []).append(path.relative_to(ROOT / "tests").as_posix())

    def renewed(match):
        rule, what, state = match[1], match[2], match[3]
        found = cited.get(rule, [])[:MOST_TESTS_NAMED]
        if state in ("tested", "built", "no test yet"):
            unproved = "built" if state == "tested" else state
            state = "tested" if found else unproved
        named = ", ".join(f"`{name}`" for name in found) if state == "tested" else ""
        return f"| {rule} | {what} | {state} | {named} |"

    return RULE.sub(renewed, text)


def write_tables():
    for name, renew in (("docs/api.md", with_errors), ("docs/conformance.md", with_tests)):
        path = ROOT / name
        path.write_text(renew(path.read_text("utf-8")), "utf-8")


if __name__ == "__main__":
    write_tables()
