"""Transactions month by month: a drawing with its numbers beside it."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from flask import Blueprint, request
from flask.typing import ResponseReturnValue

from api.web import guards, languages, pages
from api.web.vault import overview as vault
from api.wiring import wiring
from pds import spending
from pds.catalogue import CATALOGUE
from pds.sessions import Visitor

blueprint = Blueprint("spending", __name__, url_prefix="/vault/transactions/months")


@dataclass(frozen=True, slots=True)
class Chart:
    """The twelve months of a year in one currency."""

    months: list[spending.Month]

    @property
    def most(self) -> Decimal:
        """The highest bar."""
        return max(max(each.received, each.spent) for each in self.months)

    @property
    def received(self) -> Decimal:
        """What came in, in all."""
        return sum((each.received for each in self.months), Decimal())

    @property
    def spent(self) -> Decimal:
        """What went out, in all."""
        return sum((each.spent for each in self.months), Decimal())

    @property
    def count(self) -> int:
        """How many transactions there are."""
        return sum(each.count for each in self.months)


@blueprint.get("")
@guards.unlocked
def show(visitor: Visitor) -> ResponseReturnValue:
    """Show what came in and went out in each month of a year."""
    listing = wiring().lists(visitor).of("transactions")
    years, currencies = spending.years(listing.days), spending.currencies(listing.amounts)
    year, currency = _chosen("year", years), _chosen("currency", currencies)
    months = (
        spending.months_of(year, listing.days, listing.amounts, currency=currency)
        if year and currency
        else []
    )
    return pages.page(
        "vault/spending.html",
        kind=CATALOGUE.collection("transactions"),
        chart=Chart(months) if months else None,
        year=year,
        years=years,
        currency=currency,
        currencies=currencies,
        amount=lambda value: languages.amount(value, currency),
        month_name=languages.month,
        progress=vault.progress_of([listing]),
    )


def _chosen(name: str, offered: list[str]) -> str:
    asked = request.args.get(name, "")
    return asked if asked in offered else next(iter(offered), "")
