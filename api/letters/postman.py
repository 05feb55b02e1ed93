"""Takes letters that are due from the outbox and sends them, beside the worker's other tasks (D17).

One thread, so that a slow mail server holds up letters only. A letter goes out at least once: if
the process dies after sending, its claim runs out and it is sent again, with the same Message-ID.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from email.message import EmailMessage
from functools import partial
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from api.letters import transports
from api.letters.transports import Transport
from api.web import letters as wording
from api.wiring import Wiring
from consent import correspondence, organisations
from pds import letters
from pds.errors import DecryptionError, PDSError
from pds.letters import LetterKind, Waiting
from pds.limited_sign_ins import LINK_LASTS

_logger = logging.getLogger(__name__)

UnderLease = Callable[[Callable[[Session], Any]], Any]


class Postman:
    """Sends what is due; `take` is called by whoever holds the worker's lease."""

    def __init__(self, wiring: Wiring, *, transport: Transport | None = None) -> None:
        self._wiring = wiring
        self._transport = transport or transports.of(wiring.settings)
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="pds-letters")
        self._running: Future[None] | None = None

    def take(self, under_lease: UnderLease) -> int:
        """Start sending what is due, unless it is being done; return how many letters."""
        if self._transport is None or (self._running and not self._running.done()):
            return 0
        now = self._wiring.clock.now()
        with self._wiring.uow.read() as session:
            if not letters.any_due(session, now=now):
                return 0
        claimed = under_lease(lambda session: letters.claim(session, now=now))
        if claimed:
            self._running = self._pool.submit(self._send_all, self._transport, claimed)
        return len(claimed)

    def wait(self) -> None:
        """Return when everything that was started has ended."""
        if self._running is not None:
            self._running.result()

    def stop(self) -> None:
        """End after what was started."""
        self._pool.shutdown(wait=True)

    def _send_all(self, transport: Transport, claimed: Sequence[Waiting]) -> None:
        for letter in claimed:
            try:
                self._send(transport, letter)
            except (OSError, PDSError) as exc:
                # The type alone: a message may quote the address (SEC-S65).
                _logger.warning("letter not sent: %s", type(exc).__name__)
                now = self._wiring.clock.now()
                self._wiring.uow.write(partial(letters.put_off, letter=letter, now=now))

    def _send(self, transport: Transport, letter: Waiting) -> None:
        message = self._written(letter)
        if message is not None:
            transport.send(message)
        now = self._wiring.clock.now()
        self._wiring.uow.write(
            lambda session: letters.settle(session, letter, sent=message is not None, now=now)
        )

    def _written(self, letter: Waiting) -> EmailMessage | None:
        try:
            to = self._wiring.notice_addresses.recipient(letter)
        except DecryptionError:
            return None  # a box that opens for nobody: no address to send to
        if to is None or not self._holds(letter):
            return None
        address, locale, code = to
        if letter.kind is LetterKind.LIMITED_LINK:
            # Here and not in the outbox, which holds no secret (P-16).
            code = self._wiring.limited_sign_ins.make_link(letter.vault_id).text()
        server = self._wiring.settings.server
        return wording.write(
            letter,
            to=address,
            sender=self._wiring.settings.mail.sender or "vault@localhost",
            locale=locale,
            issuer=server.issuer,
            organisation=self._organisation(letter, locale),
            code=code,
        )

    def _organisation(self, letter: Waiting, locale: str) -> str:
        if "organisation" not in letter.about:
            return ""
        with self._wiring.uow.read() as session:
            found = organisations.get(session, UUID(letter.about["organisation"]))
        return found.name_az if locale == "az" else found.name_en

    def _holds(self, letter: Waiting) -> bool:
        if letter.kind is LetterKind.LIMITED_LINK:
            return self._wiring.clock.now() < letter.created_at + LINK_LASTS
        with self._wiring.uow.read() as session:
            return correspondence.is_still_so(session, letter)
