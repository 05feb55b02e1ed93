"""The second factor of a form: a code that was typed, or what the script had a passkey answer."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from flask import request

from api.web import forms
from api.wiring import wiring
from pds.second_factors import Proof
from pds.webauthn import Answer


@dataclass(frozen=True, slots=True)
class Kinds:
    """Which second factors somebody can prove; neither: none is asked for."""

    codes: bool
    passkeys: bool


def given() -> Proof:
    """Return what this form proves; an empty code if nothing."""
    answer = request.form.get("assertion", "")
    return Answer(answer, forms.bound_to()) if answer else request.form.get("code", "")


def kinds(vault_id: UUID) -> Kinds:
    """Return which second factors a person has set up."""
    factors = wiring().second_factors
    return Kinds(factors.codes.is_on(vault_id), factors.passkeys.has_any(vault_id))


def opens(vault_id: UUID) -> bool:
    """Tell whether a person has a passkey that opens their vault."""
    return any(each.opens for each in wiring().second_factors.passkeys.list_of(vault_id))


def wrong(vault_id: UUID) -> str:
    """Return the rule that a form broke whose passphrase or proof is not right."""
    is_on = wiring().second_factors.is_on(vault_id)
    return "wrong_passphrase_or_proof" if is_on else "wrong_passphrase"
