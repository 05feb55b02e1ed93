"""How far a run is: a bar on a terminal, plain lines or JSON lines elsewhere; all on stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Progress as RichProgress

from connector.engine.context import Progress


class LineProgress:
    """One line when a stage begins, and one when it is done."""

    def __init__(self, *, is_json: bool) -> None:
        self._is_json = is_json
        self._stage = ""
        self._done = self._total = 0

    def begin(self, stage: str, total: int) -> None:
        """Begin a stage."""
        self.end()
        self._stage, self._done, self._total = stage, 0, total

    def step(self, count: int = 1) -> None:
        """Note steps done."""
        self._done += count

    def end(self) -> None:
        """Write the line of the stage under way, unless it had nothing to do."""
        if not self._done:
            return
        total = max(self._total, self._done)
        if self._is_json:
            line = json.dumps({"stage": self._stage, "done": self._done, "total": total})
        else:
            line = f"{self._stage}: {self._done} of {total}"
        click.echo(line, err=True)
        self._done = 0


class BarProgress:
    """A bar for each stage that has something to do."""

    def __init__(self, bars: RichProgress) -> None:
        self._bars = bars
        self._task: TaskID | None = None

    def begin(self, stage: str, total: int) -> None:
        """Begin a stage."""
        self._task = self._bars.add_task(stage, total=total or None) if total else None

    def step(self, count: int = 1) -> None:
        """Move the bar."""
        if self._task is not None:
            self._bars.advance(self._task, count)


@contextmanager
def shown(kind: str) -> Iterator[Progress]:
    """Show progress as `auto`, `plain` or `json`."""
    if kind == "auto" and sys.stderr.isatty():
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
        )
        with RichProgress(*columns, console=Console(stderr=True)) as bars:
            yield BarProgress(bars)
        return
    lines = LineProgress(is_json=kind == "json")
    try:
        yield lines
    finally:
        lines.end()
