"""The step between the consent page and the decision: all that was chosen, once more (CUX-21).

It comes for anything beyond one cluster, and for whatever is sensitive: there it also asks who it
is (CUX-22, `api.web.entering.step_up`). Each row leads back to where it was chosen.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flask import Response
from werkzeug.datastructures import MultiDict

from api.web import pages
from api.web.clusters import clusters_of
from api.web.entering import proofs
from api.web.pages import Problem
from api.web.sharing import kept_choices
from api.web.sharing.amending import compare
from consent import durations
from consent.asks import Ask
from consent.choices import Agreed, frequencies
from consent.notices import notice_sha256
from pds.catalogue import CATALOGUE, Attribute, Cluster, Coarsening, Collection, Sensitivity
from pds.sessions import Visitor

CONFIRMED = "confirm_sensitive"


@dataclass(frozen=True, slots=True)
class Shared:
    """One thing that would be shared: its form if it is a coarser one, and a masked value."""

    attribute: Attribute
    form: Coarsening | None
    example: str | None


def is_sensitive(names: Iterable[str]) -> bool:
    """Tell whether any of these attributes takes a second tick and a step-up (CUX-22)."""
    return any(CATALOGUE.attribute(name).sensitivity is Sensitivity.SENSITIVE for name in names)


def is_needed(agreed: Agreed) -> bool:
    """Tell whether a choice is looked at once more before it is decided."""
    return len(clusters_of(agreed.attributes)) > 1 or is_sensitive(agreed.attributes)


def render_check(
    visitor: Visitor,
    notice: Mapping[str, Any],
    *,
    ask: Ask,
    agreed: Agreed,
    examples: Mapping[str, str],
    form: MultiDict[str, str],
    hidden: Mapping[str, str],
    here: str,
    now: datetime,
    problems: Iterable[Problem] = (),
    status: int = 200,
) -> Response:
    """Return the page for a choice.

    Args:
        visitor: who chooses.
        notice: what is decided on.
        ask: what it was built from.
        agreed: what ask and choice make together.
        examples: masked values by attribute.
        form: as it was sent; its choices travel on in hidden fields.
        hidden: the request's address, to send along.
        here: the path of the consent page.
        now: the present instant.
        problems: why the step-up was refused.
        status: of the answer.
    """
    fields = [*hidden.items(), *kept_choices.of(form)]
    fields += [("notice_sha256", notice_sha256(notice)), ("locale", notice["locale"])]
    if CONFIRMED in form:
        fields.append((CONFIRMED, "yes"))
    return pages.page(
        "sharing/consent_check.html",
        status,
        here=here,
        notice=notice,
        fields=fields,
        comparison=compare(notice, notice["locale"]),
        groups=_groups(agreed, examples),
        denied=clusters_of(agreed.denied),
        partial=_partial(agreed),
        until=now + durations.parse(agreed.duration),
        agreed=agreed,
        may_choose_frequency=len(frequencies(ask)) > 1,
        steps_up=is_sensitive(agreed.attributes),
        proofs=proofs.kinds(visitor.vault.id),
        passkey_opens=proofs.opens(visitor.vault.id),
        problems=list(problems),
    )


def _groups(
    agreed: Agreed, examples: Mapping[str, str]
) -> Sequence[tuple[Cluster, Sequence[Shared]]]:
    return [
        (cluster, [_shared(each, agreed, examples) for each in attributes])
        for cluster, attributes in clusters_of(agreed.attributes)
    ]


def _shared(attribute: Attribute, agreed: Agreed, examples: Mapping[str, str]) -> Shared:
    name = attribute.qualified_name
    form = agreed.coarsenings.get(name)
    coarser = attribute.coarsenings[form] if form else None
    return Shared(attribute, coarser, examples.get(name))


def _partial(agreed: Agreed) -> list[tuple[Collection, int | None]]:
    """Return collections of which not all is shared: how many records; None: the main one."""
    some: list[tuple[Collection, int | None]] = [
        (CATALOGUE.collection(name), len(records)) for name, records in agreed.chosen.items()
    ]
    return some + [(CATALOGUE.collection(name), None) for name in agreed.primary]
