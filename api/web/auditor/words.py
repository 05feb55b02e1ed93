"""The words of the auditor's desk: events, states and checks, for who works with the codes.

What people and auditors both read is in `api.web.words`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta

from flask_babel import lazy_gettext as _l
from flask_babel import ngettext
from flask_babel.speaklater import LazyString

from api.web.words import State
from consent.auditing.alerts import Kind
from consent.auditing.alerts import State as AlertState
from consent.auditing.unmasking import Way
from consent.vocabulary import AgreementState, EventName, ObligationKind

# The same events as an auditor sees them: about somebody, and the operator's own.
EVENTS_OF_OTHERS: Mapping[str, LazyString] = {
    EventName.CONSENT_SHOWN: _l("Request shown"),
    EventName.CONSENT_GIVEN: _l("Consent given"),
    EventName.CONSENT_REFUSED: _l("Request refused"),
    EventName.CONSENT_DEFERRED: _l("Request put aside"),
    EventName.CONSENT_CHANGED: _l("Consent changed"),
    EventName.CONSENT_RENEWED: _l("Consent renewed"),
    EventName.CONSENT_PAUSED: _l("Sharing paused"),
    EventName.CONSENT_RESUMED: _l("Sharing resumed"),
    EventName.CONSENT_WITHDRAWN: _l("Consent withdrawn"),
    EventName.CONSENT_TERMINATED: _l("Agreement ended"),
    EventName.CONSENT_INVALIDATED: _l("Agreement declared void"),
    EventName.CONSENT_EXPIRED: _l("Consent expired"),
    EventName.CONSENT_FULFILLED: _l("Agreement completed"),
    EventName.TOKEN_ISSUED: _l("Access token issued"),
    EventName.TOKEN_REFRESHED: _l("Access token renewed"),
    EventName.TOKEN_REVOKED: _l("Access token ended"),
    EventName.CODE_REUSED: _l("Code used twice, tokens ended"),
    EventName.DATA_READ: _l("Data read"),
    EventName.DATA_READ_DENIED: _l("Read refused"),
    EventName.DATA_DEPOSITED: _l("Document left"),
    EventName.ERASURE_REQUESTED: _l("Deletion requested"),
    EventName.ERASURE_CONFIRMED: _l("Deletion answered"),
    EventName.STOP_ANSWERED: _l("End of use answered"),
    EventName.NOTIFY_ANSWERED: _l("Passing on answered"),
    EventName.CORRECTION_REQUESTED: _l("Correction requested"),
    EventName.CORRECT_ANSWERED: _l("Correction answered"),
    EventName.ERASE_ANSWERED: _l("Deletion during sharing answered"),
    EventName.COMPLAINT_LODGED: _l("Organisation reported"),
    EventName.ORGANISATION_CREATED: _l("Organisation approved"),
    EventName.ORGANISATION_SUSPENDED: _l("Organisation suspended"),
    EventName.ORGANISATION_REMOVED: _l("Organisation removed"),
    EventName.ORGANISATION_REINSTATED: _l("Organisation reinstated"),
    EventName.ORGANISATION_FROZEN: _l("Organisation frozen"),
    EventName.ORGANISATION_THAWED: _l("Organisation let go on"),
    EventName.LOG_EPOCH_BEGUN: _l("Log begun anew after a restore"),
    EventName.LOG_ERASED: _l("Contents of log entries erased"),
    EventName.HOLD_PLACED: _l("Legal hold placed"),
    EventName.HOLD_LIFTED: _l("Legal hold lifted"),
    EventName.ORGANISATION_KEYS_ROTATED: _l("Organisation's keys changed"),
    EventName.REGISTRATION_ALLOWED: _l("Registration token handed out"),
    EventName.CLIENT_REGISTERED: _l("Client registered"),
    EventName.TEMPLATE_PUBLISHED: _l("Template published"),
    EventName.AUDITOR_CREATED: _l("Auditor admitted"),
    EventName.ENGAGEMENT_OPENED: _l("Engagement opened"),
    EventName.ENGAGEMENT_ENDED: _l("Engagement ended"),
    EventName.EVIDENCE_SEARCHED: _l("Auditor searched"),
    EventName.EVIDENCE_EXPORTED: _l("Evidence taken"),
    EventName.SETTINGS_CHANGED: _l("Settings of the server changed"),
    EventName.KEY_CHANGED: _l("A key of the server changed"),
    EventName.WITNESS_FAILED: _l("A witness does not answer"),
    EventName.WITNESS_RECOVERED: _l("A witness answers again"),
    EventName.PSEUDONYM_ASKED: _l("Auditor asked for a name"),
    EventName.PSEUDONYM_KEPT: _l("Name kept from an auditor"),
    EventName.PSEUDONYM_OPENED: _l("Name opened to an auditor"),
    EventName.PSEUDONYM_LOOKED_UP: _l("Opened name looked at"),
    EventName.REQUESTS_REFUSED: _l("Bad requests refused"),
}

STATES_OF_OTHERS: Mapping[AgreementState, LazyString] = {
    AgreementState.ACTIVE: _l("Active"),
    AgreementState.SUSPENDED: _l("Paused"),
    AgreementState.WITHDRAWN: _l("Withdrawn"),
    AgreementState.TERMINATED: _l("Replaced or ended"),
    AgreementState.EXPIRED: _l("Expired"),
    AgreementState.FULFILLED: _l("Completed"),
    AgreementState.INVALIDATED: _l("Void"),
}

ALERTS: Mapping[Kind, LazyString] = {
    Kind.READ_AFTER_END: _l("Read after the consent had ended"),
    Kind.VOLUME_SPIKE: _l("Far more reads than usual"),
    Kind.MANY_REFUSALS: _l("Many refused reads"),
    Kind.DORMANT_READ: _l("A consent that had rested was read"),
    Kind.BROKEN_STREAM: _l("Entries are missing from a stream"),
    Kind.CLOCK_JUMP: _l("The clock went back"),
    Kind.BULK_UNMASKING: _l("Many names were opened in a day"),
    Kind.COMPLAINT: _l("A person reported the organisation"),
}

ALERT_STATES: Mapping[AlertState, State] = {
    AlertState.OPEN: State(_l("Open"), "triangle-alert", "warning"),
    AlertState.EXPLAINED: State(_l("Explained"), "circle-check", "good"),
    AlertState.CONFIRMED: State(_l("Confirmed"), "circle-x", "warning"),
}

WAYS_OF_UNMASKING: Mapping[Way, LazyString] = {
    Way.CONSENT: _l("the person is asked"),
    Way.TWO_PERSONS: _l("a second person decides"),
}

STEPS: Mapping[str, LazyString] = {
    "request.seen": _l("Request first shown"),
    "request.decided": _l("Request decided"),
    "webhook.acknowledged": _l("Organisation acknowledged the message"),
    "webhook.failed": _l("Message was not taken"),
    "obligation.due": _l("Answer due"),
    "obligation.answered": _l("Organisation answered"),
}

DUTIES: Mapping[str, LazyString] = {
    ObligationKind.STOP: _l("end of use"),
    ObligationKind.DELETE: _l("deletion"),
    ObligationKind.NOTIFY: _l("telling third parties"),
    ObligationKind.CORRECT: _l("correction, as asked"),
    ObligationKind.ERASE: _l("deletion, as asked"),
}

CHANNELS: Mapping[str, LazyString] = {
    "page": _l("page"),
    "api": _l("API"),
    "command": _l("operator's command"),
    "clock": _l("by time"),
}

PROOF_STATES: Mapping[str, LazyString] = {
    "proved": _l("in the signed tree"),
    "waiting": _l("waits for witnesses to sign"),
    "erased": _l("erased"),
}


def event_of_others(name: str) -> str:
    """Name an event for an auditor; one without a word of its own by its code."""
    return str(EVENTS_OF_OTHERS.get(name, name))


def step(what: str) -> str:
    """Name a step of a consent's course for an auditor."""
    return str(STEPS[what]) if what in STEPS else event_of_others(what)


def outcome_of_others(code: str) -> str:
    """Say how an event ended, to an auditor, who works with the codes."""
    return str(_l("in order")) if code == "ok" else code


def span(time: timedelta) -> str:
    """Write how long something took, in the largest unit that fits."""
    seconds = int(time.total_seconds())
    for size, write in _SPANS:
        if seconds >= 2 * size:
            return write(seconds // size)
    return _seconds(seconds)


def _seconds(number: int) -> str:
    return str(ngettext("%(num)d second", "%(num)d seconds", number))


_SPANS: tuple[tuple[int, Callable[[int], str]], ...] = (
    (86_400, lambda number: str(ngettext("%(num)d day", "%(num)d days", number))),
    (3_600, lambda number: str(ngettext("%(num)d hour", "%(num)d hours", number))),
    (60, lambda number: str(ngettext("%(num)d minute", "%(num)d minutes", number))),
)
