"""What can go wrong between a person and an organisation."""

from __future__ import annotations

from pds.errors import PDSError


class ConsentError(PDSError):
    """Base of the errors of agreement, consent and proof."""

    code = "consent"


class GrantVoidError(ConsentError):
    """The grant does not permit this now; `reason` is the wire-stable code."""

    code = "grant-void"

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class AskRefusedError(ConsentError):
    """An organisation's request breaks a rule; `detail` says which, for its developers."""

    code = "invalid-authorization-details"

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class GrantGoneError(ConsentError):
    """The grant that a request is to be merged into is not this person's, or has ended."""

    code = "grant-gone"


class NoticeChangedError(ConsentError):
    """What was shown is no longer what holds: the page is to be shown again (P-28)."""

    code = "notice-changed"


class LogInconsistentError(ConsentError):
    """The log contradicts itself: nothing may be added until an operator has looked."""

    code = "log-inconsistent"


class LogHaltedError(ConsentError):
    """Somebody holds a checkpoint of ours that our log contradicts: nothing is written (LOG-22)."""

    code = "log-halted"


class LogStalledError(ConsentError):
    """The log has stood still for so long that no new consent is taken (LOG-21)."""

    code = "log-stalled"
