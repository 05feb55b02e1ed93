"""What the commands print on stdout."""

from __future__ import annotations

import json
import sys
from collections import Counter
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from connector.engine.plan import Plan
from connector.engine.run import RunReport
from connector.status import Status


def show_run(report: RunReport, *, is_json: bool, is_dry: bool) -> None:
    """Show how a run went; a dry one by its plans."""
    if is_dry:
        show_plans(report, is_json=is_json, has_fields=False)
        return
    problem = None if report.problem is None else report.problem.code
    if is_json:
        click.echo(json.dumps({"counts": dict(report.counts), "problem": problem}))
    else:
        counts = ", ".join(f"{name} {count}" for name, count in report.counts.items())
        click.echo(counts or "nothing to do")


def show_plans(report: RunReport, *, is_json: bool, has_fields: bool) -> None:
    """Show what would be written: names of fields, never values."""
    if is_json:
        click.echo(json.dumps({"plans": [_plan_document(plan) for plan in report.plans]}))
        return
    rows = [row for plan in report.plans for row in _plan_rows(plan, has_fields=has_fields)]
    show_rows(rows, is_json=False)
    totals = Counter(plan.action for plan in report.plans)
    click.echo(", ".join(f"{action} {count}" for action, count in totals.items()) or "no changes")


def _plan_document(plan: Plan) -> dict[str, object]:
    changes = [
        {"field": change.field, "change": change.change, "reason": change.reason}
        for change in plan.changes
    ]
    known = plan.candidate.known
    return {"connection": known.id, "action": plan.action, "changes": changes}


def _plan_rows(plan: Plan, *, has_fields: bool) -> list[dict[str, object]]:
    known = plan.candidate.known
    if not has_fields:
        fields = [change.field for change in plan.changes if change.change != "keep"]
        return [{"connection": known.id, "action": plan.action, "fields": ", ".join(fields)}]
    return [
        {"field": change.field, "change": change.change, "reason": change.reason}
        for change in plan.changes
    ]


def show_status(current: Status) -> None:
    """Show one line for each count."""
    for name, value in current.document().items():
        click.echo(f"{name.replace('_', ' ')}: {value if value not in (None, {}) else '-'}")


def show_rows(rows: list[dict[str, Any]], *, is_json: bool) -> None:
    """Show rows with the same members as a table, or as JSON."""
    if is_json:
        click.echo(json.dumps(rows))
        return
    if not rows:
        return
    table = Table(*[name.replace("_", " ") for name in rows[0]], box=None)
    for row in rows:
        table.add_row(*[str(value) for value in row.values()])
    Console(width=None if sys.stdout.isatty() else 160).print(table)
