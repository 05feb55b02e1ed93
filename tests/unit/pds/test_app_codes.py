"""Codes of a second factor: RFC 6238's own vectors, and which codes count at an instant."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from pds.app_codes import STEP_SECONDS, code_at, step_of

SECRET = b"12345678901234567890"
NOW = datetime(2026, 3, 14, 12, 0, tzinfo=UTC)
STEP = int(NOW.timestamp()) // STEP_SECONDS


@pytest.mark.parametrize(
    ("seconds", "code"),
    [
        (59, "287082"),
        (1_111_111_109, "081804"),
        (1_111_111_111, "050471"),
        (1_234_567_890, "005924"),
        (2_000_000_000, "279037"),
        (20_000_000_000, "353130"),
    ],
)
def test_codes_are_those_of_rfc_6238_appendix_b(seconds, code):
    """The last six of the eight digits that it prints for SHA-1."""
    assert code_at(SECRET, seconds // STEP_SECONDS) == code


@pytest.mark.parametrize("steps", [-1, 0, 1])
def test_a_code_counts_one_step_to_either_side(steps):
    assert step_of(SECRET, code_at(SECRET, STEP + steps), NOW) == STEP + steps


@pytest.mark.parametrize("steps", [-2, 2])
def test_a_code_of_two_steps_away_does_not(steps):
    assert step_of(SECRET, code_at(SECRET, STEP + steps), NOW) is None


def test_a_code_may_be_typed_as_apps_show_it():
    code = code_at(SECRET, STEP)

    assert step_of(SECRET, f" {code[:3]} {code[3:]} ", NOW + timedelta(seconds=10)) == STEP


@pytest.mark.parametrize(
    "code", ["", "0", "12345", "1234567", "abcdef", "١٢٣٤٥٦", "ə" * 6, "0" * 99]
)
def test_what_is_no_code_is_none(code):
    assert step_of(SECRET, code, NOW) is None
