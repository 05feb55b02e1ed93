"""Errors as problem details (RFC 9457): the one place that maps an error to HTTP.

Types are `{issuer}/docs/errors/{code}`; codes are stable (P-38). The text of an exception never
goes out: `detail` is written here, or is an `Issue`'s, which is made to be read.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from flask import Response, current_app

from consent import errors as consent_errors
from consent.vocabulary import DenialReason
from pds import errors

MIMETYPE = "application/problem+json"

# code -> (status, title, what to do). Every code that may go out is here; `/docs/errors` lists it.
CATALOGUE: Mapping[str, tuple[int, str, str]] = {
    "not-found": (404, "Not found", "There is no such thing, or it is not yours."),
    "conflict": (409, "Changed meanwhile", "Read the present state and try again."),
    "validation-failed": (422, "Not valid", "Correct the fields named in `errors` and try again."),
    "limit-reached": (429, "Too much or too often", "Wait as long as `Retry-After` says."),
    "too-large": (413, "Too large", "Send less at once; the documentation states the limit."),
    "malformed": (400, "Malformed request", "Send the form that the API description gives."),
    "unsupported-media-type": (415, "Wrong content type", "Send application/json."),
    "method-not-allowed": (405, "Method not allowed", "Use a method that `Allow` names."),
    "invalid-token": (401, "Token not valid", "Get a new access token and prove its key."),
    "insufficient-scope": (403, "Token not sufficient", "This token is for something else."),
    "not-agreed": (403, "Not agreed", "Ask only for what the agreement covers."),
    "purpose-limit": (403, "Beyond fair use", "Ask anew, within the limits of the purpose."),
    "consent-pending": (403, "Not yet in force", "Wait until the agreement starts."),
    "consent-paused": (403, "Paused", "The person has paused sharing; keep the connection."),
    "consent-withdrawn": (403, "Consent withdrawn", "Stop, and delete what you received."),
    "consent-terminated": (403, "Agreement ended", "Stop, and delete what you received."),
    "consent-expired": (403, "Consent expired", "Stop, and delete; you may ask again."),
    "consent-fulfilled": (403, "Agreement fulfilled", "The one-time access was used."),
    "consent-invalidated": (403, "Agreement void", "Stop, and delete what you received."),
    "consent-changed": (409, "Changed in between", "Nothing was released. Ask again."),
    "organisation-suspended": (403, "Organisation suspended", "Contact the operator."),
    "organisation-frozen": (
        403,
        "Organisation frozen",
        "Get new keys confirmed by the operator, then ask this person again.",
    ),
    "vault-deleted": (410, "Vault deleted", "Stop, and delete what you received."),
    "cursor-expired": (410, "Cursor no longer valid", "List again without a cursor."),
    "log-stalled": (503, "The log stands still", "No new consent is taken; try again later."),
    "log-halted": (503, "The log is halted", "Nothing is written until the operator has acted."),
    "busy": (503, "Busy", "Try again in a few seconds."),
    "internal": (500, "Our mistake", "Nothing was changed that you were not told of. Try later."),
}

_CODES: Mapping[type[errors.PDSError], str] = {
    errors.NotFoundError: "not-found",
    errors.ConflictError: "conflict",
    errors.ValidationFailedError: "validation-failed",
    errors.LimitExceededError: "limit-reached",
    consent_errors.GrantVoidError: "consent-changed",
    consent_errors.LogStalledError: "log-stalled",
    consent_errors.LogHaltedError: "log-halted",
}


def problem(
    code: str,
    *,
    detail: str | None = None,
    issues: tuple[errors.Issue, ...] = (),
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Return the problem document of a code of `CATALOGUE`."""
    status, title, what_to_do = CATALOGUE[code]
    issuer = current_app.extensions["pds"].settings.server.issuer
    body: dict[str, Any] = {
        "type": f"{issuer}/docs/errors/{code}",
        "title": title,
        "status": status,
        "detail": detail or what_to_do,
    }
    if issues:
        body["errors"] = [
            {"pointer": issue.pointer, "rule": issue.rule, "detail": issue.detail}
            for issue in issues
        ]
    response = Response(orjson.dumps(body), status, mimetype=MIMETYPE)
    response.headers["Cache-Control"] = "no-store"
    response.headers.update(headers or {})
    return response


def of_error(error: errors.PDSError) -> Response:
    """Return the problem document of a domain error; unknown ones are `internal`."""
    if isinstance(error, consent_errors.GrantVoidError):
        return problem(error.reason)
    code = next((_CODES[kind] for kind in type(error).__mro__ if kind in _CODES), "internal")
    issues = error.issues if isinstance(error, errors.ValidationFailedError) else ()
    headers = {}
    if isinstance(error, errors.LimitExceededError) and error.retry_after_seconds:
        headers["Retry-After"] = str(error.retry_after_seconds)
    return problem(code, issues=issues, headers=headers)


def of_denial(reason: DenialReason) -> Response:
    """Return the problem document of a refused release."""
    return problem(reason.value)
