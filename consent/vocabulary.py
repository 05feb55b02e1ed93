"""The words of agreement and consent: purposes, lawful bases, states, actors, event names.

DPV is the W3C Data Privacy Vocabulary, version 2.3. Codes are wire-stable; retired ones would stay
listed.
"""

from __future__ import annotations

from enum import StrEnum


class Purpose(StrEnum):
    """Why data is asked for; the value is the code, `dpv_term` its DPV purpose."""

    SERVICE_PROVISION = "service_provision"
    CUSTOMER_MANAGEMENT = "customer_management"
    IDENTITY_VERIFICATION = "identity_verification"
    CREDIT_CHECKING = "credit_checking"
    PERSONALISATION = "personalisation"
    DIRECT_MARKETING = "direct_marketing"
    RESEARCH = "research"
    PERSONAL_USE = "personal_use"

    @property
    def dpv_term(self) -> str:
        """Return the DPV 2.3 purpose."""
        return _PURPOSE_TERMS[self]


_PURPOSE_TERMS = {
    Purpose.SERVICE_PROVISION: "dpv:ServiceProvision",
    Purpose.CUSTOMER_MANAGEMENT: "dpv:CustomerManagement",
    Purpose.IDENTITY_VERIFICATION: "dpv:IdentityVerification",
    Purpose.CREDIT_CHECKING: "dpv:CustomerSolvencyMonitoring",
    Purpose.PERSONALISATION: "dpv:Personalisation",
    Purpose.DIRECT_MARKETING: "dpv:DirectMarketing",
    Purpose.RESEARCH: "dpv:ResearchAndDevelopment",
    Purpose.PERSONAL_USE: "dpv:ServiceProvision",
}


class LawfulBasis(StrEnum):
    """GDPR Article 6 (1); sharing out of a vault rests on consent or on a contract."""

    CONSENT = "consent"
    CONTRACT = "contract"

    @property
    def dpv_term(self) -> str:
        """Return the DPV 2.3 legal basis."""
        return "dpv:ExpressedConsent" if self is LawfulBasis.CONSENT else "dpv:ContractPerformance"


class Action(StrEnum):
    """What a grant may do."""

    READ = "read"
    WRITE = "write"


class AccessMode(StrEnum):
    """How often an organisation fetches."""

    ONCE = "once"
    PERIODIC = "periodic"
    ON_CHANGE = "on_change"


class Instances(StrEnum):
    """Which records of a collection with many are shared (P-26)."""

    ALL = "all"
    PRIMARY = "primary"
    CHOSEN = "chosen"


class AgreementState(StrEnum):
    """States of the contract; all but the first two are terminal and never reopen (CM-6)."""

    ACTIVE = "active"
    SUSPENDED = "suspended"
    WITHDRAWN = "withdrawn"
    TERMINATED = "terminated"
    EXPIRED = "expired"
    FULFILLED = "fulfilled"
    INVALIDATED = "invalidated"

    @property
    def is_terminal(self) -> bool:
        """Tell whether nothing follows it."""
        return self not in (AgreementState.ACTIVE, AgreementState.SUSPENDED)

    @property
    def dpv_contract_status(self) -> str:
        """Return the DPV 2.3 contract status."""
        return _CONTRACT_STATUS[self]


_CONTRACT_STATUS = {
    AgreementState.ACTIVE: "dpv:ContractActive",
    AgreementState.SUSPENDED: "dpv:ContractTemporarilySuspended",
    AgreementState.WITHDRAWN: "dpv:ContractTerminated",
    AgreementState.TERMINATED: "dpv:ContractTerminated",
    AgreementState.EXPIRED: "dpv:ContractExpired",
    AgreementState.FULFILLED: "dpv:ContractFulfilled",
    AgreementState.INVALIDATED: "dpv:ContractTerminated",
}


class GrantState(StrEnum):
    """States of the technical permission; active from the decision on (P-27)."""

    ACTIVE = "active"
    PAUSED = "paused"
    REVOKED = "revoked"
    EXPIRED = "expired"
    CONSUMED = "consumed"


LIVE_GRANT_STATES = (GrantState.ACTIVE, GrantState.PAUSED)


class InvitationState(StrEnum):
    """States of an organisation's invitation; all but the first two are final."""

    OPEN = "open"
    OPENED = "opened"  # a person went on with it
    USED = "used"
    DECLINED = "declined"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"


LIVE_INVITATION_STATES = (InvitationState.OPEN, InvitationState.OPENED)


class RequestState(StrEnum):
    """States of an organisation's ask."""

    SEEN = "seen"
    APPROVED = "approved"
    APPROVED_NARROWED = "approved_narrowed"
    REFUSED = "refused"
    DEFERRED = "deferred"


class ConsentStatus(StrEnum):
    """DPV 2.3 consent statuses; only the first two permit processing (CM-14).

    DPV has no status for a pause: what it says of one is the class of all statuses under which
    nothing may be processed.
    """

    GIVEN = "dpv:ConsentGiven"
    RENEWED = "dpv:RenewedConsentGiven"
    PAUSED = "dpv:ConsentStatusInvalidForProcessing"
    REFUSED = "dpv:ConsentRefused"
    DEFERRED = "dpv:ConsentRequestDeferred"
    WITHDRAWN = "dpv:ConsentWithdrawn"
    REVOKED = "dpv:ConsentRevoked"
    EXPIRED = "dpv:ConsentExpired"
    INVALIDATED = "dpv:ConsentInvalidated"

    @property
    def permits(self) -> bool:
        """Tell whether data may be processed under it."""
        return self in (ConsentStatus.GIVEN, ConsentStatus.RENEWED)


class FeedEvent(StrEnum):
    """What an organisation's feed and its webhooks tell: that something happened, never what.

    `consent.<state>` for each final state of an agreement.
    """

    CONSENT_GRANTED = "consent.granted"
    CONSENT_CHANGED = "consent.changed"
    CONSENT_PAUSED = "consent.paused"
    CONSENT_RESUMED = "consent.resumed"
    CONSENT_WITHDRAWN = "consent.withdrawn"
    CONSENT_TERMINATED = "consent.terminated"
    CONSENT_EXPIRED = "consent.expired"
    CONSENT_FULFILLED = "consent.fulfilled"
    CONSENT_INVALIDATED = "consent.invalidated"
    DATA_UPDATED = "data.updated"
    OBLIGATION_OPENED = "obligation.opened"
    OBLIGATION_OVERDUE = "obligation.overdue"

    @property
    def kind(self) -> str:
        """Return what it is about: consent, data or obligation."""
        return self.value.partition(".")[0]


class Actor(StrEnum):
    """Who brought a change about (CM-12)."""

    INDIVIDUAL = "individual"
    ORGANISATION = "organisation"
    OPERATOR = "operator"
    AUTHORITY = "authority"
    CLOCK = "clock"


class ObligationKind(StrEnum):
    """What an organisation owes: after the end of an agreement (CM-7), or because it was asked."""

    STOP = "stop"  # no longer use what it received
    DELETE = "delete"
    NOTIFY = "notify"  # tell those to whom it passed the data on (GDPR Art. 19)
    CORRECT = "correct"  # take over what the vault says now (GDPR Art. 16); the agreement goes on
    ERASE = "erase"  # delete what it holds (GDPR Art. 17); the agreement goes on


class ComplaintReason(StrEnum):
    """Why a person reports an organisation; the code goes into the log (CUX-43)."""

    MORE_THAN_AGREED = "more-than-agreed"
    NOT_DELETED = "not-deleted"
    UNWANTED_CONTACT = "unwanted-contact"
    PRETENDS = "pretends"
    PRESSURE = "pressure"
    OTHER = "other-ground"


class TerminationReason(StrEnum):
    """Why an organisation ends an agreement; the code goes into the log."""

    SERVICE_ENDED = "service-ended"
    PURPOSE_ACHIEVED = "purpose-achieved"
    CUSTOMER_LEFT = "customer-left"
    LEGAL_DUTY = "legal-duty"
    SECURITY = "security"
    OTHER = "other"


class InvalidationReason(StrEnum):
    """Why an agreement is void; the code goes into the log."""

    COURT_ORDER = "court-order"
    AUTHORITY_DECISION = "authority-decision"
    UNLAWFUL_TERMS = "unlawful-terms"
    DECEPTION = "deception"
    NO_CAPACITY = "no-capacity"


class ExclusionReason(StrEnum):
    """Why an organisation's agreements all ended; one for each bad standing."""

    SUSPENDED = "organisation-suspended"
    REMOVED = "organisation-removed"


class FreezeReason(StrEnum):
    """Why an organisation is frozen; the code goes into the log."""

    KEYS_STOLEN = "keys-stolen"
    SYSTEMS_INTRUDED = "systems-intruded"
    PRECAUTION = "precaution"


class Standing(StrEnum):
    """Whether an organisation may be served."""

    GOOD = "good"
    SUSPENDED = "suspended"
    REMOVED = "removed"


class DenialReason(StrEnum):
    """Why a release is refused; the value is the problem type's code (P-38)."""

    PENDING = "consent-pending"
    PAUSED = "consent-paused"
    WITHDRAWN = "consent-withdrawn"
    TERMINATED = "consent-terminated"
    EXPIRED = "consent-expired"
    FULFILLED = "consent-fulfilled"
    INVALIDATED = "consent-invalidated"
    NOT_AGREED = "not-agreed"
    PURPOSE_LIMIT = "purpose-limit"  # beyond fair use for the agreed purpose
    LIMIT = "limit-reached"
    STANDING = "organisation-suspended"
    FROZEN = "organisation-frozen"  # its keys were reported stolen; not confirmed since
    VAULT_DELETED = "vault-deleted"
    CHANGED = "consent-changed"  # between decision and commit: ask again


class EventName(StrEnum):
    """Every event that the log knows; the vault's own are named where the vault makes them."""

    CONSENT_SHOWN = "consent.shown"
    CONSENT_GIVEN = "consent.given"
    CONSENT_REFUSED = "consent.refused"
    CONSENT_DEFERRED = "consent.deferred"
    CONSENT_CHANGED = "consent.changed"
    CONSENT_RENEWED = "consent.renewed"
    CONSENT_PAUSED = "consent.paused"
    CONSENT_RESUMED = "consent.resumed"
    CONSENT_WITHDRAWN = "consent.withdrawn"
    CONSENT_TERMINATED = "consent.terminated"
    CONSENT_INVALIDATED = "consent.invalidated"
    CONSENT_EXPIRED = "consent.expired"
    CONSENT_FULFILLED = "consent.fulfilled"
    TOKEN_ISSUED = "token.issued"  # noqa: S105 - an event's name
    TOKEN_REFRESHED = "token.refreshed"  # noqa: S105 - an event's name
    TOKEN_REVOKED = "token.revoked"  # noqa: S105 - an event's name
    CODE_REUSED = "token.code_reused"
    DATA_READ = "data.read"
    DATA_READ_DENIED = "data.read_denied"
    DATA_DEPOSITED = "data.deposited"
    ERASURE_REQUESTED = "erasure.requested"
    ERASURE_CONFIRMED = "erasure.confirmed"
    STOP_ANSWERED = "obligation.stop_answered"
    NOTIFY_ANSWERED = "obligation.notify_answered"
    CORRECTION_REQUESTED = "correction.requested"
    CORRECT_ANSWERED = "obligation.correct_answered"
    ERASE_ANSWERED = "obligation.erase_answered"
    COMPLAINT_LODGED = "complaint.lodged"
    KEYS_ROTATED = "vault.keys_rotated"
    LIMITED_STOPPED = "vault.limited_stopped"
    DELETION_ASKED = "vault.deletion_asked"
    DELETION_CANCELLED = "vault.deletion_cancelled"
    VAULT_DELETED = "vault.deleted"
    VAULT_EXPORTED = "vault.exported"
    UNMASKING_ASKED = "vault.unmasking_asked"
    UNMASKING_REFUSED = "vault.unmasking_refused"
    UNMASKED = "vault.unmasked"
    UNMASKING_TAKEN_BACK = "vault.unmasking_taken_back"
    ORGANISATION_CREATED = "organisation.created"
    ORGANISATION_SUSPENDED = "organisation.suspended"
    ORGANISATION_REMOVED = "organisation.removed"
    ORGANISATION_REINSTATED = "organisation.reinstated"
    ORGANISATION_FROZEN = "organisation.frozen"
    ORGANISATION_THAWED = "organisation.thawed"
    ORGANISATION_KEYS_ROTATED = "organisation.keys_rotated"
    REGISTRATION_ALLOWED = "organisation.registration_allowed"
    CLIENT_REGISTERED = "organisation.client_registered"
    TEMPLATE_PUBLISHED = "template.published"
    AUDITOR_CREATED = "auditor.created"
    ENGAGEMENT_OPENED = "engagement.opened"
    ENGAGEMENT_ENDED = "engagement.ended"
    EVIDENCE_SEARCHED = "evidence.searched"
    EVIDENCE_EXPORTED = "evidence.exported"
    PSEUDONYM_ASKED = "pseudonym.asked"
    PSEUDONYM_KEPT = "pseudonym.kept"
    PSEUDONYM_OPENED = "pseudonym.opened"
    PSEUDONYM_LOOKED_UP = "pseudonym.looked_up"
    LOG_EPOCH_BEGUN = "log.epoch_begun"
    REQUESTS_REFUSED = "requests.refused"
    LOG_ERASED = "log.erased"
    HOLD_PLACED = "hold.placed"
    HOLD_LIFTED = "hold.lifted"
    SETTINGS_CHANGED = "deployment.settings_changed"
    KEY_CHANGED = "deployment.key_changed"
    WITNESS_FAILED = "witness.failed"
    WITNESS_RECOVERED = "witness.recovered"
