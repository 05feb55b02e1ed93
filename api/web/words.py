"""The words for states, purposes, events and rules: no raw code is ever shown (CUX-29)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from flask_babel import lazy_gettext as _l
from flask_babel import ngettext
from flask_babel.speaklater import LazyString

from consent import durations
from consent.auditing.alerts import State as AlertState
from consent.auditing.unmasking import Decider
from consent.auditing.unmasking import State as UnmaskingState
from consent.vocabulary import (
    AccessMode,
    AgreementState,
    ComplaintReason,
    ConsentStatus,
    DenialReason,
    EventName,
    ExclusionReason,
    FreezeReason,
    Instances,
    InvalidationReason,
    ObligationKind,
    RequestState,
    TerminationReason,
)
from pds.catalogue import CATALOGUE, Attribute, Wording
from pds.errors import Issue
from pds.letters import LetterKind
from pds.record_lists import Order

_DAYS_OF_A_YEAR = 365


@dataclass(frozen=True, slots=True)
class Note:
    """A sentence about what just happened, and its tone: `good`, `info` or `warning`."""

    text: LazyString
    tone: str = "good"

    @property
    def icon(self) -> str:
        """The icon of the tone: never colour alone (CUX-30)."""
        return {"info": "info", "warning": "triangle-alert"}.get(self.tone, "circle-check")


@dataclass(frozen=True, slots=True)
class State:
    """The words of a state, its icon, and its tone: never colour alone (CUX-30)."""

    label: LazyString
    icon: str
    tone: str


NOTES: Mapping[str, Note] = {
    "saved": Note(_l("Saved.")),
    "restored": Note(_l("It is back in your vault.")),
    "nothing-selected": Note(_l("Select something first."), "info"),
    "changed-meanwhile": Note(
        _l("Something of it was changed meanwhile. Nothing was deleted; look again."), "warning"
    ),
    "changed-meanwhile-shown": Note(
        _l("It was changed meanwhile: this is what stands there now. Nothing was restored."),
        "warning",
    ),
    "older-restored": Note(
        _l("The older version stands again. The one before stays in the history.")
    ),
    "there-again": Note(
        _l("What was added again since was not brought back: it would be there twice."),
        "info",
    ),
    "nothing-restored": Note(
        _l("Nothing to bring back: it is there, or was changed since."), "info"
    ),
    "login-changed": Note(_l("From now on you sign in with your new name.")),
    "app-removed": Note(_l("Its access has ended. It can read nothing any more.")),
    "code-kept": Note(_l("The code is right. Keep it well.")),
    "file-added": Note(_l("The file was added.")),
    "file-removed": Note(_l("The file was removed and destroyed.")),
    "locked": Note(_l("Your vault is locked. You are still signed in."), "info"),
    "signed-out": Note(_l("You are signed out."), "info"),
    "absorbed": Note(
        _l("Documents that organisations left for you are now in your vault."), "info"
    ),
    "rotated": Note(_l("Keys that ended connections once held have been renewed."), "info"),
    "asked": Note(
        _l("The organisation has been asked. It has 30 days; its answer will stand on this page.")
    ),
    "asked-already": Note(
        _l("You have asked for this already, and it has not been answered yet."), "info"
    ),
    "reported": Note(_l("Your report was received. Its state stands on this page.")),
    "reported-already": Note(
        _l("Your report of today was received. You can report again tomorrow."), "info"
    ),
    "stopped": Note(_l("Sharing has stopped. The organisation can read nothing any more.")),
    "stopped-all": Note(_l("All sharing has stopped. Nobody can read anything any more.")),
    "paused": Note(
        _l("Sharing is paused. The organisation can read nothing until you resume."), "info"
    ),
    "resumed": Note(_l("Sharing goes on, on the same terms.")),
    "narrowed": Note(_l("You share less now. The organisation has been told.")),
    "extended": Note(_l("You share for longer now, on the same terms. The organisation is told.")),
    "ended-already": Note(_l("This agreement has ended already. Nothing was changed."), "info"),
    "second-step-on": Note(_l("The second step is on. Your next sign-in asks for a code.")),
    "second-step-off": Note(_l("Codes from an app are off."), "info"),
    "passkey-added": Note(_l("Your passkey is added. Your other devices are signed out.")),
    "passkey-renamed": Note(_l("Your passkey has a new name.")),
    "passkey-removed": Note(
        _l("The passkey is removed. Your other devices are signed out."), "info"
    ),
    "limited-ended": Note(_l("The page is closed. The link that led there is used up."), "info"),
    "limited-used": Note(
        _l(
            "A link for a lost passphrase was used since you last signed in. What was done with it"
            " stands under “Activity”. If it was not you, give another address for letters."
        ),
        "warning",
    ),
    "deletion-asked": Note(
        _l("Your vault will be deleted. Until then you can take that back."), "warning"
    ),
    "deletion-off": Note(_l("Your vault is kept. Nothing will be deleted.")),
    "session-ended": Note(_l("That device is signed out.")),
    "others-ended": Note(_l("All your other devices are signed out.")),
    "passphrase-changed": Note(_l("Your passphrase is changed.")),
    "preferences": Note(_l("Your choices are saved.")),
    "address-given": Note(_l("A letter is on its way. Open the link in it to confirm."), "info"),
    "address-taken-away": Note(_l("You get no letters any more."), "info"),
    "address-confirmed": Note(_l("Your address is confirmed.")),
    "unmasking-asked": Note(
        _l("An auditor asks to know who you are. The question stands under “Activity”."), "warning"
    ),
    "unmasking-allowed": Note(
        _l("The auditor may see the name that you sign in with, for a week."), "info"
    ),
    "unmasking-refused": Note(_l("You said no. The auditor does not learn who you are.")),
    "unmasking-closed": Note(_l("Closed. The auditor is shown your name no more.")),
    "search-not-kept": Note(
        _l("The search was not kept: give it a name of at most 60 characters."), "warning"
    ),
    "cancelled": Note(_l("The import is cancelled. What was already imported stays."), "info"),
}

ORDERS: Mapping[Order, LazyString] = {
    Order.TITLE: _l("From A to Z"),
    Order.NEWEST: _l("Newest first"),
    Order.OLDEST: _l("Oldest first"),
    Order.LARGEST: _l("Largest amount first"),
    Order.SMALLEST: _l("Smallest amount first"),
    Order.CHANGED: _l("Changed last"),
}

LETTERS: Mapping[LetterKind, LazyString] = {
    LetterKind.REQUEST: _l("A request waits for my decision"),
    LetterKind.CHANGE: _l("A connection changed, or an organisation ended it"),
    LetterKind.WITHDRAWN: _l("I stopped sharing"),
    LetterKind.EXPIRY: _l("A connection ends soon"),
    LetterKind.OVERDUE: _l("An organisation owes an answer"),
    LetterKind.DORMANT: _l("An organisation reads again after a long time"),
}

AGREEMENT_STATES: Mapping[AgreementState, State] = {
    AgreementState.ACTIVE: State(_l("Active"), "circle-check", "good"),
    AgreementState.SUSPENDED: State(_l("Paused"), "circle-pause", "info"),
    AgreementState.WITHDRAWN: State(_l("Stopped by you"), "circle-x", "quiet"),
    AgreementState.TERMINATED: State(_l("Replaced or ended"), "circle-x", "quiet"),
    AgreementState.EXPIRED: State(_l("Expired"), "clock", "quiet"),
    AgreementState.FULFILLED: State(_l("Completed"), "circle-check", "quiet"),
    AgreementState.INVALIDATED: State(_l("Void"), "circle-x", "quiet"),
}
# In place of the agreement's own state, while its organisation is frozen: nothing goes out.
FROZEN = State(_l("Paused by us"), "circle-pause", "warning")
CLOSED: Mapping[RequestState, State] = {
    RequestState.REFUSED: State(_l("Refused by you"), "circle-x", "quiet"),
    RequestState.DEFERRED: State(_l("Put aside by you"), "clock", "quiet"),
}

DELETION_STATES: Mapping[str, State] = {
    "due": State(_l("Deletion is due"), "clock", "info"),
    "confirmed": State(_l("Deletion confirmed"), "circle-check", "good"),
    "retained_with_basis": State(_l("Partly kept, with a legal reason"), "info", "info"),
    "overdue": State(_l("Deletion is overdue"), "triangle-alert", "warning"),
}

OBLIGATIONS: Mapping[str, LazyString] = {
    ObligationKind.STOP: _l("No longer use your data"),
    ObligationKind.DELETE: _l("Delete what it received"),
    ObligationKind.NOTIFY: _l("Tell those to whom it passed your data on"),
    ObligationKind.CORRECT: _l("Correct what it holds by what your vault says now"),
    ObligationKind.ERASE: _l("Delete what it holds, while sharing goes on"),
}
OBLIGATION_STATES: Mapping[str, State] = {
    "due": State(_l("Answer awaited"), "clock", "info"),
    "confirmed": State(_l("Confirmed"), "circle-check", "good"),
    "retained_with_basis": State(_l("Not done in full, with a legal reason"), "info", "info"),
    "overdue": State(_l("Overdue"), "triangle-alert", "warning"),
}

RECEIPT_KINDS: Mapping[str, LazyString] = {
    "given": _l("Consent given"),
    "changed": _l("Consent changed"),
    "renewed": _l("Consent renewed"),
    "paused": _l("Sharing paused"),
    "resumed": _l("Sharing resumed"),
    "refused": _l("Request refused"),
    "deferred": _l("Request put aside"),
    "withdrawn": _l("Consent withdrawn"),
    "expired": _l("Consent expired"),
    "terminated": _l("Agreement ended"),
    "invalidated": _l("Agreement declared void"),
    "fulfilled": _l("Agreement completed"),
}

PURPOSES: Mapping[str, LazyString] = {
    "service_provision": _l("To provide a service"),
    "customer_management": _l("To look after you as a customer"),
    "identity_verification": _l("To verify who you are"),
    "credit_checking": _l("To check whether you can repay a loan"),
    "personalisation": _l("To personalise offers"),
    "direct_marketing": _l("For advertising"),
    "research": _l("For research"),
    "personal_use": _l("For your own use"),
}

LAWFUL_BASES: Mapping[str, LazyString] = {
    "consent": _l("Your consent"),
    "contract": _l("A contract with you"),
}

ACTORS: Mapping[str, LazyString] = {
    "dpv:DataSubject": _l("you"),
    "individual": _l("you"),
    "organisation": _l("the organisation"),
    "operator": _l("the operator"),
    "authority": _l("an authority or a court"),
    "clock": _l("the agreed end"),
}

EVENTS: Mapping[str, LazyString] = {
    "vault.created": _l("The vault was created"),
    "vault.unlocked": _l("The vault was unlocked"),
    "vault.unlock_failed": _l(
        "Someone tried to open the vault with a wrong passphrase, code or passkey"
    ),
    "vault.login_changed": _l("The name for signing in was changed"),
    "vault.app_added": _l("One of your own apps was let in"),
    "vault.app_removed": _l("The access of your own app ended"),
    "vault.app_read": _l("One of your own apps read"),
    "vault.recovery_code_changed": _l("A new recovery code was made"),
    "vault.credentials_changed": _l("The passphrase and the recovery code were changed"),
    "vault.second_factor_on": _l("Codes from an app were turned on"),
    "vault.second_factor_off": _l("Codes from an app were turned off"),
    "vault.passkey_added": _l("A passkey was added"),
    "vault.passkey_removed": _l("A passkey was removed"),
    "vault.passkey_refused": _l("A passkey was refused: there may be a copy of it"),
    "vault.limited_asked": _l("A link for stopping to share without the passphrase was asked for"),
    "vault.limited_opened": _l("A link for stopping to share without the passphrase was used"),
    EventName.LIMITED_STOPPED: _l("Sharing was stopped by that link, without the passphrase"),
    EventName.DELETION_ASKED: _l("Deletion of the vault was asked for"),
    EventName.DELETION_CANCELLED: _l("The vault is kept: its deletion was taken back"),
    EventName.VAULT_DELETED: _l("The vault was deleted"),
    EventName.VAULT_EXPORTED: _l("A copy of everything in the vault was taken along"),
    EventName.UNMASKING_ASKED: _l("An auditor asked to know who you are"),
    EventName.UNMASKING_REFUSED: _l("You did not tell an auditor who you are"),
    EventName.UNMASKED: _l("An auditor was allowed to know who you are"),
    EventName.UNMASKING_TAKEN_BACK: _l("You closed your name to an auditor again"),
    "vault.notice_address_changed": _l("The address for letters was changed"),
    "record.written": _l("Something was written to the vault"),
    "record.deleted": _l("Something was deleted from the vault"),
    "records.imported": _l("Part of a file was imported"),
    "deposit.absorbed": _l("Documents that an organisation left were taken in"),
    "deposit.quarantined": _l(
        "A document that an organisation left was set aside: it is not valid"
    ),
    "evidence.exported": _l("Evidence about this vault was handed to an auditor"),
    EventName.KEYS_ROTATED: _l("Keys of the vault were renewed"),
    EventName.CONSENT_SHOWN: _l("A request was shown to you"),
    EventName.CONSENT_GIVEN: _l("You allowed a request"),
    EventName.CONSENT_REFUSED: _l("You refused a request"),
    EventName.CONSENT_DEFERRED: _l("You put a request aside"),
    EventName.CONSENT_CHANGED: _l("You changed what you share"),
    EventName.CONSENT_RENEWED: _l("You renewed a consent"),
    EventName.CONSENT_PAUSED: _l("You paused sharing"),
    EventName.CONSENT_RESUMED: _l("You resumed sharing"),
    EventName.CONSENT_WITHDRAWN: _l("You stopped sharing"),
    EventName.CONSENT_TERMINATED: _l("An agreement was replaced or ended"),
    EventName.CONSENT_EXPIRED: _l("An agreement expired"),
    EventName.CONSENT_INVALIDATED: _l("An agreement was declared void"),
    EventName.CONSENT_FULFILLED: _l("An agreement was completed"),
    EventName.TOKEN_ISSUED: _l("The organisation connected"),
    EventName.TOKEN_REFRESHED: _l("The organisation renewed its connection"),
    EventName.TOKEN_REVOKED: _l("The organisation gave up its connection"),
    EventName.CODE_REUSED: _l("A connection code was used twice; the connection was cut"),
    EventName.DATA_READ: _l("The organisation read data"),
    EventName.DATA_READ_DENIED: _l("The organisation tried to read data and was refused"),
    EventName.DATA_DEPOSITED: _l("The organisation left a document"),
    EventName.ERASURE_REQUESTED: _l("The organisation was asked to delete data"),
    EventName.ERASURE_CONFIRMED: _l("The organisation answered that it deleted data"),
    EventName.STOP_ANSWERED: _l("The organisation answered that it stopped using data"),
    EventName.NOTIFY_ANSWERED: _l("The organisation answered for telling those it passed data to"),
    EventName.CORRECTION_REQUESTED: _l("You asked the organisation to correct what it holds"),
    EventName.CORRECT_ANSWERED: _l("The organisation answered your wish for a correction"),
    EventName.ERASE_ANSWERED: _l("The organisation answered your wish for a deletion"),
    EventName.COMPLAINT_LODGED: _l("You reported the organisation"),
    EventName.ORGANISATION_FROZEN: _l("We stopped the organisation: its keys may be stolen"),
    EventName.ORGANISATION_THAWED: _l("Sharing goes on, under the organisation's new keys"),
}


@dataclass(frozen=True, slots=True)
class EventKind:
    """A kind of events to filter by: its words, and how the names of its events begin."""

    label: LazyString
    beginnings: tuple[str, ...]


EVENT_KINDS: Mapping[str, EventKind] = {
    "reading": EventKind(_l("Reading and connecting"), ("data.", "token.")),
    "decisions": EventKind(_l("Requests and decisions"), ("consent.",)),
    "claims": EventKind(
        _l("Duties and reports"),
        ("erasure.", "obligation.", "correction.", "complaint.", "organisation."),
    ),
    "vault": EventKind(_l("Sign-in and the vault"), ("vault.",)),
    "records": EventKind(_l("Changes of data"), ("record.", "records.", "deposit.")),
}


UNMASKING_STATES: Mapping[UnmaskingState, State] = {
    UnmaskingState.WAITING: State(_l("Waiting for an answer"), "clock", "info"),
    UnmaskingState.OPEN: State(_l("Open"), "users", "warning"),
    UnmaskingState.REFUSED: State(_l("Refused"), "circle-x", "quiet"),
    UnmaskingState.TAKEN_BACK: State(_l("Closed by the person"), "circle-x", "quiet"),
    UnmaskingState.LAPSED: State(_l("Not answered in time"), "clock", "quiet"),
    UnmaskingState.OVER: State(_l("Closed, its time is over"), "clock", "quiet"),
}
DECIDERS: Mapping[Decider, LazyString] = {
    Decider.PERSON: _l("the person"),
    Decider.AUDITOR: _l("another auditor"),
    Decider.OPERATOR: _l("the operator"),
}


# What a retention class is about, by its name in `consent/retention.yaml`.
RETENTION: Mapping[str, LazyString] = {
    "records": _l("data of the vault"),
    "consent": _l("consents and reads"),
    "access": _l("opening of vaults"),
}

# Why others ended an agreement.
REASONS: Mapping[str, LazyString] = {
    TerminationReason.SERVICE_ENDED: _l("the service has ended"),
    TerminationReason.PURPOSE_ACHIEVED: _l("the purpose is achieved"),
    TerminationReason.CUSTOMER_LEFT: _l("you are no longer its customer"),
    TerminationReason.LEGAL_DUTY: _l("a law requires it"),
    TerminationReason.SECURITY: _l("for security"),
    TerminationReason.OTHER: _l("another reason"),
    InvalidationReason.COURT_ORDER: _l("by order of a court"),
    InvalidationReason.AUTHORITY_DECISION: _l("by decision of an authority"),
    InvalidationReason.UNLAWFUL_TERMS: _l("its terms are against the law"),
    InvalidationReason.DECEPTION: _l("consent was obtained by deception"),
    InvalidationReason.NO_CAPACITY: _l("consent could not be given validly"),
    # Also the outcome of what it tried after that.
    ExclusionReason.SUSPENDED: _l("the organisation was suspended"),
    ExclusionReason.REMOVED: _l("the organisation was removed"),
}

COMPLAINTS: Mapping[str, LazyString] = {
    ComplaintReason.MORE_THAN_AGREED: _l("it uses my data for more than was agreed"),
    ComplaintReason.NOT_DELETED: _l("it did not delete what it should have deleted"),
    ComplaintReason.UNWANTED_CONTACT: _l("it contacts me although I do not want that"),
    ComplaintReason.PRETENDS: _l("it is not who it says it is"),
    ComplaintReason.PRESSURE: _l("it pressed me into sharing"),
    ComplaintReason.OTHER: _l("something else"),
}

COMPLAINT_STATES: Mapping[AlertState, State] = {
    AlertState.OPEN: State(_l("received, waits for an auditor"), "clock", "info"),
    AlertState.EXPLAINED: State(_l("looked at: explained"), "circle-check", "quiet"),
    AlertState.CONFIRMED: State(_l("looked at: confirmed"), "triangle-alert", "warning"),
}

OUTCOMES: Mapping[str, LazyString] = {
    **REASONS,
    **COMPLAINTS,
    "wrong-secret": _l("wrong passphrase or code"),
    "by-consent": _l("by the person's own yes"),
    "by-second-auditor": _l("a second auditor agreed"),
    "by-operator": _l("the operator agreed"),
    "without-passphrase": _l("without the passphrase, by a link from a letter"),
    DenialReason.PENDING: _l("not yet in force"),
    DenialReason.PAUSED: _l("sharing was paused"),
    DenialReason.WITHDRAWN: _l("you had stopped sharing"),
    DenialReason.TERMINATED: _l("the agreement had ended"),
    DenialReason.EXPIRED: _l("the agreement had expired"),
    DenialReason.FULFILLED: _l("the agreement was completed"),
    DenialReason.INVALIDATED: _l("the agreement was void"),
    DenialReason.NOT_AGREED: _l("outside what was agreed"),
    DenialReason.PURPOSE_LIMIT: _l("more than its purpose allows"),
    DenialReason.LIMIT: _l("more often than agreed"),
    DenialReason.FROZEN: _l("its keys may be stolen, and you had not confirmed new ones"),
    FreezeReason.KEYS_STOLEN: _l("its keys were stolen"),
    FreezeReason.SYSTEMS_INTRUDED: _l("somebody broke into its systems"),
    FreezeReason.PRECAUTION: _l("as a precaution"),
    DenialReason.VAULT_DELETED: _l("the vault was deleted"),
    DenialReason.CHANGED: _l("the consent had just changed"),
}

CONSENT_TERMS: Mapping[str, LazyString] = {
    ConsentStatus.GIVEN: _l("Consent given"),
    ConsentStatus.RENEWED: _l("Consent renewed"),
    ConsentStatus.PAUSED: _l("Sharing paused"),
    ConsentStatus.REFUSED: _l("Request refused"),
    ConsentStatus.DEFERRED: _l("Request put aside"),
    ConsentStatus.WITHDRAWN: _l("Consent withdrawn"),
    ConsentStatus.REVOKED: _l("Agreement ended"),
    ConsentStatus.EXPIRED: _l("Consent expired"),
    ConsentStatus.INVALIDATED: _l("Agreement declared void"),
}

INSTANCES: Mapping[str, LazyString] = {
    Instances.ALL: _l("all, also those that you add later"),
    Instances.PRIMARY: _l("only the main one"),
    Instances.CHOSEN: _l("only those that I tick"),
}

# Why a request stands out among those of its purpose; the ceilings themselves refuse it.
FLAGS: Mapping[str, LazyString] = {
    "purpose.attributes": _l("it asks for many items"),
    "purpose.sensitive": _l("it asks for much sensitive data"),
    "purpose.frequency": _l("it would be read very often"),
    "purpose.data_range": _l("it reaches far back"),
    "purpose.duration": _l("it would run for long"),
    "purpose.retention": _l("the data would be kept for long afterwards"),
}

_ACCOUNT_RULES: Mapping[str, LazyString] = {
    "passphrase_too_short": _l(
        "Use at least %(least)s characters; six unrelated words are easy to keep."
    ),
    "passphrase_too_long": _l("Use at most %(most)s characters."),
    "passphrase_guessable": _l(
        "This one could be guessed. Add words that have nothing to do with each other."
    ),
    "login_taken": _l("This name is taken. Choose another one."),
    "login_malformed": _l("Use %(least)s to %(most)s characters."),
    "not_offered": _l("This was not offered; choose from the list."),
    "nothing_chosen_here": _l("Tick at least one entry, or choose otherwise."),
    "ticked_for_nothing": _l("Choose “only those that I tick”, or tick none."),
    "nothing_chosen": _l("Tick at least one item, or refuse."),
    "nothing_left": _l("Leave one item, or stop sharing."),
    "nothing_taken": _l("Nothing would change: take something away, or leave it as it is."),
    "confirm_going_on": _l(
        "Tick the box about sensitive data if you want to go on sharing it. Otherwise leave it as"
        " it is."
    ),
    "not_the_code": _l(
        "This is not your recovery code. Look at all eight groups, or get a new code below."
    ),
    "confirm_sensitive": _l(
        "Tick the box about sensitive data if you want to share it. Otherwise refuse, or leave"
        " those items out."
    ),
    "choose_one": _l("Choose one of these."),
    "step_up": _l("Give your passphrase, or a passkey: sensitive data is shared only after that."),
    "wrong_secret": _l(
        "The name, the passphrase, the code or the passkey is not right. A code counts once, for"
        " half a minute."
    ),
    "wrong_passphrase": _l("The passphrase is not right."),
    "wrong_app_code": _l("The code is not right. Give the one that the app shows now."),
    "wrong_passphrase_or_proof": _l("The passphrase, the code or the passkey is not right."),
    "wrong_passkey": _l("The passkey was not accepted. Try again, or give your passphrase."),
    "passkey_opens_nothing": _l(
        "The passkey is right, but it does not open your vault. Give your passphrase, and confirm"
        " with the passkey."
    ),
    "passkey_not_added": _l("The passkey was not added. Begin anew, on this page."),
    "too_many_passkeys": _l("You have ten passkeys. Remove one that you do not use."),
    "label_malformed": _l("Use 1 to %(most)s characters."),
    "app_reads_nothing": _l("Choose at least one kind of data that the app may read."),
    "app_days": _l("Choose one of the lengths of time that are offered."),
    "app_key_private": _l(
        "This is a private key. Keep it to the program, and better make a new pair; paste the"
        " public one here."
    ),
    "app_key_malformed": _l(
        "This is no public key for signatures. Paste one JWK or PEM with a key of Ed25519, of P-256"
        " or of RSA with at least 2,048 bits."
    ),
    "app_key_refused": _l("This key was reported stolen. Make a new pair."),
    "most_apps": _l("You have as many apps as there can be. End the access of one first."),
    "try_again": _l("Keys of your vault were renewed at this moment. Send the form again."),
    "wrong_groups": _l(
        "These are not the groups of your code. Look at your paper and at the numbers of the groups"
        " again; if it does not help, get a new code."
    ),
    "wrong_code": _l("The name or the recovery code is not right."),
    "wrong_notice_code": _l("The code is not right, or older than a day. Save the address again."),
    "malformed_address": _l("This is not an e-mail address."),
    "file_missing": _l("Choose a file."),
    "format_unknown": _l(
        "This kind of file is not known here. Choose a file of one of the kinds listed."
    ),
    "column_missing": _l("Choose the column that holds it."),
    "currency_code": _l("Write three letters, such as AZN."),
    "account_unnamed": _l(
        "Choose the column of the account, or write its number or a name for it."
    ),
    "file_too_large": _l("The file is too large. At most %(most)s MB fit."),
    "files_too_large": _l(
        "There is no room for it: all your files together can take up %(most)s MB. Remove one that"
        " you do not need."
    ),
    "file_empty": _l("The file is empty. Choose another."),
    "file_known": _l("This file is here already. Choose another."),
    "too_many_files": _l("A record can have %(most)s files. Remove one first."),
    "no_files_here": _l("Records of this kind have no files."),
    "changed_meanwhile": _l("The record was changed meanwhile. Choose the file again."),
    "archive_too_large": _l(
        "The archive holds too much, or there is no room for it. At most %(most)s MB fit."
    ),
    "not_sure": _l("Tick the box if you are sure. Nothing was changed."),
    "not_written_down": _l("Tick the box once you have written the code down."),
}


def issue(found: Issue) -> str:
    """Say what is wrong with a field that the catalogue does not describe."""
    sentence = _ACCOUNT_RULES.get(found.rule)
    return str(sentence) % found.params if sentence else found.detail


def wait(seconds: int) -> str:
    """Say how long to wait before the next attempt."""
    minutes = -(-seconds // 60)
    return str(
        ngettext(
            "Too many attempts. Try again in %(num)d minute.",
            "Too many attempts. Try again in %(num)d minutes.",
            minutes,
        )
    )


def duration(text: str) -> str:
    """Write a duration such as `P30D`."""
    days = durations.parse(text).days
    if days == _DAYS_OF_A_YEAR:
        return str(_l("12 months"))
    return str(ngettext("%(num)d day", "%(num)d days", days))


def consent_status(status: Mapping[str, Any]) -> str:
    """Name a status of a receipt; DPV has one term for several of them.

    Consent is given with a duration, goes on after a pause without one, and changes later than
    first; what changes during a pause is under the pause's term, with a duration.
    """
    term, gives_terms = status["@type"][0], status["dpv:hasDuration"] is not None
    if term == ConsentStatus.GIVEN and not gives_terms:
        return str(RECEIPT_KINDS["resumed"])
    if gives_terms and status["seq"] > 1 and term in {ConsentStatus.GIVEN, ConsentStatus.PAUSED}:
        return str(RECEIPT_KINDS["changed"])
    return str(CONSENT_TERMS.get(term, term))


def frequency(mode: str, fetches_per_day: int) -> str:
    """Say how often an organisation may fetch (CUX-12)."""
    if mode == AccessMode.ONCE:
        return str(_l("Once; again within 24 hours if the answer was lost"))
    return str(ngettext("At most once a day", "At most %(num)d times a day", fetches_per_day))


def outcome(code: str) -> str:
    """Say how an event ended; nothing for one that went well."""
    return "" if code in ("", "ok") else str(OUTCOMES.get(code, _l("with a remark")))


_NOTHING_NOW: Mapping[DenialReason, LazyString] = {
    DenialReason.PAUSED: _l("you have paused it"),
    DenialReason.FROZEN: _l("its keys were reported stolen, and you have not confirmed new ones"),
    DenialReason.LIMIT: _l("it has read as often today as was agreed"),
    DenialReason.NOT_AGREED: _l("it may leave documents for you, and read nothing"),
}


def why_nothing(reason: DenialReason) -> str:
    """Say why an organisation can read nothing at this moment."""
    return str(_NOTHING_NOW.get(reason, _l("the agreement is over")))


def item(attribute: Attribute, locale: str) -> str:
    """Name an item, with its collection where the item alone does not say enough (CUX-4).

    "Date" may be anything's; "Date (Transactions)" is not.
    """
    label = attribute.label.text(locale)
    kind = CATALOGUE.collection(attribute.collection)
    if kind.range_field is None and not _is_repeated(attribute.label):
        return label
    return f"{label} ({kind.plural.text(locale)})"


def _is_repeated(label: Wording) -> bool:
    # In either language, so that an item is named in the same manner in both.
    return _labels()["az", label.az] > 1 or _labels()["en", label.en] > 1


@cache
def _labels() -> Counter[tuple[str, str]]:
    return Counter(
        (locale, each.label.text(locale))
        for kind in CATALOGUE.collections.values()
        for each in kind.attributes.values()
        for locale in ("az", "en")
    )


def event(name: str) -> str:
    """Say what an event of the log is about."""
    return str(EVENTS.get(name, _l("Something else was logged")))


def erased_by(rule: str) -> str:
    """Name the retention class whose period was over when an entry was erased."""
    name = rule.partition(".")[0]
    return str(RETENTION.get(name, name))
