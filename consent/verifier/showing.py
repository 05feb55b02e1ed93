"""What the command shows: how far it is, and what it found."""

from __future__ import annotations

import sys
from collections.abc import Callable

from consent.formats.report import Report

_BAR = 30
_LONG = 1000


def progress_bar() -> Callable[[int, int], None]:
    """Return what shows (done, in all): a bar on a terminal, else a line each tenth."""
    if sys.stderr.isatty():
        return _draw_bar
    said = [-1]

    def say(done: int, total: int) -> None:
        tenths = 10 * done // total if total > _LONG else -1
        if tenths > said[0]:
            said[0] = tenths
            sys.stderr.write(f"{done} of {total} entries\n")

    return say


def _draw_bar(done: int, total: int) -> None:
    if total > _LONG:
        filled = _BAR * done // total
        bar = "#" * filled + "." * (_BAR - filled)
        sys.stderr.write(f"\r[{bar}] {done}/{total}" + ("\n" if done == total else ""))


def in_words(report: Report) -> str:
    """Return a report as lines of text."""
    lines = [f"{each.name:12} {each.outcome.value:12} {each.detail}" for each in report.checks]
    lines += [f"NOTICE {each.where}: {each.rule}: {each.detail}" for each in report.notices]
    lines += [f"FAILURE {each.where}: {each.rule}: {each.detail}" for each in report.failures]
    return "\n".join([*(line.rstrip() for line in lines), report.verdict.value]) + "\n"
