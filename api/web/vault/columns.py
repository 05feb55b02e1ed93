"""The page on which a person says what the columns of a bank's table are."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

from flask import Response
from flask_babel import lazy_gettext as _l
from flask_babel.speaklater import LazyString

from api.web import languages, pages, words
from api.web.pages import Problem
from pds.errors import Issue
from pds.importing.bank_csv import (
    DECIMAL_SIGNS,
    FIELDS,
    BankMapping,
    BankTable,
    open_bank_csv,
    preview,
    propose,
)
from pds.importing.bookings import read_currency
from pds.importing.dates import ORDERS
from pds.imports import ImportService

LABELS: Mapping[str, LazyString] = {
    "date": _l("Date"),
    "amount": _l("Amount, with a minus for money spent"),
    "money_out": _l("Money spent, in a column of its own"),
    "money_in": _l("Money received, in a column of its own"),
    "currency": _l("Currency"),
    "payee": _l("Paid to or from"),
    "memo": _l("Description"),
    "reference": _l("The bank's reference"),
    "account": _l("Account number"),
}
ORDER_LABELS: Mapping[str, LazyString] = {
    "dmy": _l("day, month, year: 31.12.2026"),
    "ymd": _l("year, month, day: 2026-12-31"),
    "mdy": _l("month, day, year: 12/31/2026"),
}
SIGN_LABELS: Mapping[str, LazyString] = {
    ".": _l("a point: 1234.50"),
    ",": _l("a comma: 1234,50"),
}

_ROWS_SHOWN = 8
_LONGEST_ACCOUNT = 50
_LONGEST_EXAMPLE = 30


def read(form: Mapping[str, str], data: bytes) -> tuple[BankMapping, list[Problem]]:
    """Return the mapping that a form says, and what is wrong with it."""
    width = max((len(cells) for cells in open_bank_csv(data).sample()), default=0)
    places = {name: form.get(f"column_{name}", "") for name in FIELDS}
    columns = {
        name: int(place)
        for name, place in places.items()
        if place.isascii() and place.isdigit() and int(place[:4]) < width
    }
    mapping = BankMapping(
        columns=columns,
        date_order=_one_of(ORDERS, form.get("date_order")),
        decimal_sign=_one_of(DECIMAL_SIGNS, form.get("decimal_sign")),
        currency=read_currency(form.get("currency", "")),
        account=form.get("account", "").strip()[:_LONGEST_ACCOUNT],
        spending_is_positive="spending_is_positive" in form,
    )
    wrong = []
    if "date" not in columns:
        wrong.append(
            Problem("column_date", words.issue(Issue("column_date", "column_missing", "")))
        )
    elif not mapping.is_complete:
        missing = Issue("column_amount", "column_missing", "")
        wrong.append(Problem("column_amount", words.issue(missing)))
    if not mapping.currency:
        wrong.append(Problem("currency", words.issue(Issue("currency", "currency_code", ""))))
    if "account" not in columns and not mapping.account:
        wrong.append(Problem("account", words.issue(Issue("account", "account_unnamed", ""))))
    return mapping, wrong


def page(
    imports: ImportService,
    import_id: UUID,
    mapping: BankMapping | None = None,
    *problems: Problem,
) -> Response:
    """Show a mapping, the kept or the proposed one at first, and the rows as they would import."""
    data, locale = imports.tables.held(import_id), languages.current()
    table = open_bank_csv(data)
    kept = imports.tables.kept_mapping(table.signature) if mapping is None else None
    chosen = mapping or kept or propose(table)
    candidates, result = preview(data, chosen)
    return pages.page(
        "vault/import_columns.html",
        422 if problems else 200,
        import_id=import_id,
        mapping=chosen,
        is_kept=kept is not None,
        labels=LABELS,
        order_labels=ORDER_LABELS,
        sign_labels=SIGN_LABELS,
        columns=_named(table),
        rows=[dict(candidate.data) for candidate in candidates[:_ROWS_SHOWN]],
        refused=[
            (note.position.text(locale), note.text(locale)) for note in result.refused[:_ROWS_SHOWN]
        ],
        problems=problems,
    )


def _named(table: BankTable) -> list[tuple[int, str, str]]:
    """Return each column's place, name and first value."""
    sample = table.sample()
    width = max((len(cells) for cells in sample), default=len(table.header))
    named = []
    for at in range(width):
        values = (cells[at].strip() for cells in sample if at < len(cells))
        example = next((value for value in values if value), "")[:_LONGEST_EXAMPLE]
        named.append((at, table.header[at].strip() if at < len(table.header) else "", example))
    return named


def _one_of(known: tuple[str, ...], said: str | None) -> str:
    return said if said in known else known[0]
