"""Forms with words of their own: intentions and preferences are asked for as questions.

Every field stands in the catalogue; here is only in which groups it is asked for, and how.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from flask_babel import lazy_gettext as _l
from flask_babel.speaklater import LazyString

from api.web.vault.inputs import Input


@dataclass(frozen=True, slots=True)
class Form:
    """The words around a form, and its groups of fields, each under a question."""

    heading: LazyString
    lead: LazyString
    button: LazyString
    groups: Sequence[tuple[LazyString, tuple[str, ...]]]


FORMS: Mapping[str, Form] = {
    "intentions": Form(
        _l("What are you planning?"),
        _l(
            "Write down what you mean to buy or do. Nobody sees it until you share it; whom you"
            " share it with can make you an offer that fits."
        ),
        _l("Save the intention"),
        (
            (_l("What is it?"), ("intention", "category", "stage")),
            (_l("By when, and for how much?"), ("by_date", "budget")),
            (_l("What matters to you?"), ("details",)),
        ),
    ),
    "preferences": Form(
        _l("How would you like to be served?"),
        _l("Say it once here. Organisations that you share it with are to keep to it."),
        _l("Save the preferences"),
        (
            (_l("How may you be reached?"), ("preferred_channel", "language", "contact_time")),
            (_l("What may be sent to you?"), ("marketing", "paperless")),
            (_l("How do you pay and receive?"), ("payment_method", "delivery_method")),
        ),
    ),
}


def grouped(name: str, inputs: Sequence[Input]) -> list[tuple[LazyString | None, list[Input]]]:
    """Return a form's fields by group; those that no group names come last, under no question."""
    form, rest = FORMS.get(name), {each.name: each for each in inputs}
    groups: list[tuple[LazyString | None, list[Input]]] = [
        (question, [rest.pop(field) for field in fields if field in rest])
        for question, fields in (form.groups if form else ())
    ]
    return [*groups, (None, list(rest.values()))]
