"""Asking who it is once more, before what matters most is done (CUX-22, TAK-50).

    passphrase      and a second factor, where one is on
    passkey         one that opens the vault: its device verified the person

Whoever finds a browser in which a vault is unlocked has neither.
"""

from __future__ import annotations

from dataclasses import dataclass

from flask import Response, request

from api import sources
from api.web import forms, words
from api.web.entering import proofs
from api.web.pages import Problem
from api.wiring import wiring
from pds.crypto import prf
from pds.errors import Issue, LimitExceededError, WrongSecretError
from pds.passkey_entrance import PasskeyOpensNothingError
from pds.sessions import Visitor
from pds.webauthn import Answer

_FIELD = "passphrase"


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a form does not prove who sent it, and the status of the page that says so."""

    problem: Problem
    status: int = 422
    retry_after_seconds: int | None = None

    def answer(self, page: Response) -> Response:
        """Say on a page when to come back, for programs too."""
        if self.retry_after_seconds is not None:
            page.headers["Retry-After"] = str(self.retry_after_seconds)
        return page


def refusal(visitor: Visitor) -> Refusal | None:
    """Return why this form does not prove that its sender is the owner; None if it does."""
    passphrase, proof = request.form.get(_FIELD, ""), request.form.get("assertion", "")
    if not passphrase and not proof:
        return _refusal("step_up")
    try:
        if passphrase:
            wiring().accounts.enter_again(visitor.vault.id, passphrase, proofs.given())
        else:
            wiring().passkey_entrance.enter(
                Answer(proof, forms.bound_to()),
                prf.parse(request.form.get("prf", "")),
                source=sources.source(),
                vault_id=visitor.vault.id,
            )
    except PasskeyOpensNothingError:
        return _refusal("passkey_opens_nothing")
    except WrongSecretError:
        return _refusal(proofs.wrong(visitor.vault.id) if passphrase else "wrong_passkey")
    except LimitExceededError as error:
        seconds = error.retry_after_seconds or 60
        return Refusal(Problem(_FIELD, words.wait(seconds)), 429, seconds)
    return None


def _refusal(rule: str) -> Refusal:
    return Refusal(Problem(_FIELD, words.issue(Issue(_FIELD, rule, ""))))
