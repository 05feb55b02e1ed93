"""One exchange with a witness (C2SP tlog-witness): `add-checkpoint`, and what it saw last.

The operator chose the URL in the policy file. It is under the guard of all outgoing requests all
the same: `https`, ports 443 and 8443, public addresses; this machine only where that is set.
"""

from __future__ import annotations

import http.client
from dataclasses import dataclass, field
from typing import Final

from api.outgoing.addresses import AddressRefusedError, Target, parse
from api.outgoing.connecting import Deadline, Dialler
from api.outgoing.exchanging import Response, UnboundedError, exchange
from consent.formats.checkpoint import open_checkpoint
from consent.formats.errors import FormatError
from consent.formats.note import Verifier
from consent.formats.witness_policy import PolicyWitness
from consent.formats.witnessing import (
    SIZE_TYPE,
    AddCheckpoint,
    monitoring_path,
    parse_size_body,
)

SECONDS: Final = 5.0


class WitnessUnavailableError(Exception):
    """The witness gave no answer that means anything; the message says what is the matter."""


@dataclass(frozen=True, slots=True)
class Cosigned:
    """The witness's signature line, verified, with its newline."""

    line: str


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """The witness cosigned a tree of another size last."""

    size: int


@dataclass(frozen=True, slots=True)
class Refused:
    """The witness does not cosign: the tree is not proved to extend the one that it knows."""


Answer = Cosigned | Elsewhere | Refused


@dataclass(frozen=True, slots=True)
class Witness:
    """A witness of the policy, as it is spoken to.

    Raises:
        UrlRefusedError: at making, for a URL that nothing is sent to.
    """

    known: PolicyWitness
    log_key: Verifier
    loopback: bool
    dialler: Dialler = field(default_factory=Dialler, repr=False)
    seconds: float = SECONDS

    def __post_init__(self) -> None:
        self._target("/add-checkpoint")

    @property
    def name(self) -> str:
        """The name of its key."""
        return self.known.key.name

    def add(self, request: AddCheckpoint) -> Answer:
        """Ask for a cosignature.

        Raises:
            WitnessUnavailableError: there was no answer, or one that tlog-witness does not have.
        """
        headers = {"Content-Type": "text/plain; charset=utf-8"}
        body = request.to_text().encode("utf-8")
        answer = self._exchange("/add-checkpoint", "POST", headers, body)
        text = answer.body.decode("utf-8", "replace")
        try:
            if answer.status == http.client.OK:
                return Cosigned(self._own_line(request.checkpoint, text))
            if answer.status == http.client.CONFLICT and answer.content_type == SIZE_TYPE:
                return Elsewhere(parse_size_body(text))
        except FormatError as exc:
            raise WitnessUnavailableError(f"its answer is wrong: {exc}") from exc
        if answer.status == http.client.UNPROCESSABLE_ENTITY:
            return Refused()
        raise WitnessUnavailableError(_REASONS.get(answer.status, f"it answers {answer.status}"))

    def latest(self) -> str | None:
        """Return the checkpoint of our log that it cosigned last; None if it never did.

        Raises:
            WitnessUnavailableError: there was no answer.
        """
        answer = self._exchange(monitoring_path(self.log_key.name), "GET", {}, b"")
        if answer.status == http.client.NOT_FOUND:
            return None
        if answer.status != http.client.OK:
            raise WitnessUnavailableError(f"it answers {answer.status}")
        return answer.body.decode("utf-8", "replace")

    def _own_line(self, checkpoint: str, lines: str) -> str:
        # Appended, as the specification has it; what is signed by others is left aside.
        key = self.known.key
        opened = open_checkpoint(checkpoint + lines, log_keys=[self.log_key], witnesses=[key])
        for signature in opened.note.signatures:
            if (signature.name, signature.key_id) == (key.name, key.key_id):
                return signature.to_line()
        raise WitnessUnavailableError("its answer has no signature by its key")

    def _exchange(self, path: str, method: str, headers: dict[str, str], body: bytes) -> Response:
        deadline = Deadline.after(self.seconds)
        try:
            return exchange(
                self.dialler,
                self._target(path),
                deadline,
                method=method,
                headers=headers,
                body=body,
            )
        except AddressRefusedError as exc:
            raise WitnessUnavailableError("its name leads to an address that is refused") from exc
        except TimeoutError as exc:
            raise WitnessUnavailableError("it does not answer in time") from exc
        except (OSError, http.client.HTTPException, UnboundedError, ValueError) as exc:
            raise WitnessUnavailableError("it cannot be reached") from exc

    def _target(self, path: str) -> Target:
        prefix = (self.known.url or "").rstrip("/")
        return parse(prefix + path, insecure_loopback=self.loopback)


_REASONS = {
    http.client.BAD_REQUEST: "it takes our request for malformed",
    http.client.FORBIDDEN: "it does not know our log's key: give it the present one",
    http.client.NOT_FOUND: "it does not watch our log: its operator has to add it",
}
