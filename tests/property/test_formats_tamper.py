"""Nothing in a bundle can be changed unseen (LOG-29)."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from consent.formats.canonical import canonical_bytes, parse
from consent.formats.report import Verdict
from consent.formats.verify import verify_bundle
from tests.support.evidence import story

LOG = story()
DATA = LOG.bundle(private=True, consistency=[LOG.consistency(5)]).to_bytes()
TRUST = LOG.trust(pinned=LOG.checkpoint(5))


def _places(value, path=()):
    """Yield the path of each text, number and null in a JSON value."""
    if isinstance(value, dict | list):
        for name, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _places(inner, (*path, name))
    else:
        yield path


def _containers(value, path=()):
    """Yield the path of each member and item that is not the whole."""
    for name, inner in value.items() if isinstance(value, dict) else enumerate(value):
        yield (*path, name)
        if isinstance(inner, dict | list):
            yield from _containers(inner, (*path, name))


def _at(value, path):
    for name in path:
        value = value[name]
    return value


def _flip(value):
    if isinstance(value, str):
        return chr(ord(value[0]) ^ 1) + value[1:]
    return value + 1 if isinstance(value, int) else "x"


def test_flipping_any_place_fails_the_bundle():
    # Hints are left out: they carry no weight where the caller has keys.
    places = [path for path in _places(parse(DATA)) if path[0] != "hints"]
    unnoticed = []
    for path in places:
        value = parse(DATA)
        _at(value, path[:-1])[path[-1]] = _flip(_at(value, path))
        if verify_bundle(canonical_bytes(value), TRUST).verdict is not Verdict.FAILED:
            unnoticed.append(path)

    assert unnoticed == []
    assert len(places) > 300


def test_removing_any_member_or_item_fails_the_bundle():
    unnoticed = []
    places = [path for path in _containers(parse(DATA)) if "hints" not in path[:-1]]
    for path in places:
        value = parse(DATA)
        del _at(value, path[:-1])[path[-1]]
        if verify_bundle(canonical_bytes(value), TRUST).verdict is not Verdict.FAILED:
            unnoticed.append(path)

    assert unnoticed == []
    assert len(places) > 400


@settings(max_examples=150, deadline=None)
@given(position=st.integers(0, len(DATA) - 1), value=st.integers(0, 255))
def test_no_changed_byte_raises_anything_or_verifies(position, value):
    changed = DATA[:position] + bytes([value]) + DATA[position + 1 :]

    report = verify_bundle(changed, TRUST)

    hints = DATA.index(b'"hints"'), DATA.index(b'"manifest"')
    if changed != DATA and not hints[0] < position < hints[1]:
        assert report.verdict is Verdict.FAILED


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200))
def test_random_bytes_fail_and_raise_nothing(data):
    assert verify_bundle(data, TRUST).verdict is Verdict.FAILED
