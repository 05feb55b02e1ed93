"""What can go wrong, by the party at fault. `code` is stable; no text holds a personal value."""

from __future__ import annotations

from typing import ClassVar


class ConnectorError(Exception):
    """Base of every error that the connector raises on purpose."""

    code: ClassVar[str] = "connector"


class ConfigurationError(ConnectorError):
    """The connector cannot run as it is configured; the message says what to do."""

    code = "configuration"


class MappingError(ConfigurationError):
    """A mapping rule cannot be compiled, or does not fit the CRM."""

    code = "mapping"


class StateError(ConnectorError):
    """The state store is absent, of another version, or sealed with another secret."""

    code = "state"


class LeaseHeldError(StateError):
    """Another run is under way on this state store."""

    code = "lease-held"


class LeaseLostError(StateError):
    """This run's lease was taken over: it must not write any more."""

    code = "lease-lost"


class ServerError(ConnectorError):
    """Base of what the personal data store answers or fails to answer."""

    code = "server"


class ServerUnavailableError(ServerError):
    """The server was not reached, or asks to come again later."""

    code = "server-unavailable"

    def __init__(self, message: str = "", *, retry_after_seconds: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class ServerRefusedError(ServerError):
    """The server refused; `problem` is the code of its problem document (RFC 9457)."""

    code = "server-refused"

    def __init__(self, status: int, problem: str) -> None:
        super().__init__(f"{status} {problem}")
        self.status = status
        self.problem = problem


class ConsentEndedError(ServerRefusedError):
    """The server says that this consent is over, for good: what came of it must be erased."""

    code = "consent-ended"


class ConsentSuspendedError(ServerRefusedError):
    """The consent does not allow a read at present; nothing is to be written or erased."""

    code = "consent-suspended"


class TokenInvalidError(ServerRefusedError):
    """The server no longer takes our token. Says nothing on whether the consent ended."""

    code = "token-invalid"


class OrganisationExcludedError(ServerRefusedError):
    """The organisation was suspended or removed: it may only answer for what it owes."""

    code = "organisation-excluded"


class CursorExpiredError(ServerRefusedError):
    """The feed no longer reaches back to our cursor: everything must be listed again."""

    code = "cursor-expired"


class AnswerRejectedError(ServerError):
    """The answer breaks the interface: malformed, unproven (P-33), or for someone else."""

    code = "answer-rejected"


class LogProblemError(ServerError):
    """The log does not hold what an answer named, or is not the log it was (P-33)."""

    code = "log-problem"


class AuthorizationFailedError(ServerError):
    """The person refused, or the answer to the authorization request does not hold."""

    code = "authorization-failed"


class NotOwedError(ConnectorError):
    """Nothing is owed by that id, or nothing that can be answered so."""

    code = "not-owed"


class CrmError(ConnectorError):
    """Base of what the CRM answers or fails to answer, for all rows at once."""

    code = "crm"


class CrmUnavailableError(CrmError):
    """The CRM was not reached, or asks to come again later."""

    code = "crm-unavailable"


class CrmUnauthorizedError(CrmError):
    """The CRM does not take our credentials: nothing more is sent to it."""

    code = "crm-unauthorized"


class CrmRefusedError(CrmError):
    """The CRM answered what the adapter does not understand."""

    code = "crm-refused"


class BatchRefusedError(CrmError):
    """The CRM refused a batch as a whole and does not say which row is at fault."""

    code = "batch-refused"


class TooManyRejectsError(CrmError):
    """So many rows were rejected that the mapping must be wrong; the run stopped."""

    code = "too-many-rejects"
