"""How a letter leaves: by SMTP, or into a folder of a trial instance."""

from __future__ import annotations

import os
import smtplib
import ssl
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path
from typing import Protocol

from pds.errors import ConfigurationError
from pds.settings import MailSettings, Settings

TIMEOUT_SECONDS = 20
FOLDER = "mail"


class Transport(Protocol):
    """Takes one letter, for good or with an error."""

    def send(self, message: EmailMessage) -> None:
        """Hand a letter over.

        Raises:
            OSError: it was not taken (`smtplib`'s errors are of this kind).
        """
        ...


class SmtpTransport:
    """Hands letters to a mail server (RFC 5321), over TLS that is verified."""

    def __init__(self, settings: MailSettings, *, tls: ssl.SSLContext | None = None) -> None:
        self._settings = settings
        self._tls = tls or ssl.create_default_context()

    def send(self, message: EmailMessage) -> None:
        """Hand a letter over, in a connection of its own."""
        settings = self._settings
        with self._connected() as server:
            if settings.tls == "starttls":
                # Refused where the server has none: never on in the clear (RFC 3207 section 6).
                server.starttls(context=self._tls)
            if settings.username:
                server.login(settings.username, self._password())
            server.send_message(message)

    def _connected(self) -> smtplib.SMTP:
        host, port = self._settings.host, self._settings.port
        if self._settings.tls == "tls":
            return smtplib.SMTP_SSL(host, port, timeout=TIMEOUT_SECONDS, context=self._tls)
        return smtplib.SMTP(host, port, timeout=TIMEOUT_SECONDS)

    def _password(self) -> str:
        path = Path(self._settings.password_file)
        if path.stat().st_mode & 0o077:
            raise ConfigurationError(f"{path} is open to other users; run: chmod 600 {path}")
        return path.read_text("utf-8").strip()


class FolderTransport:
    """Writes letters into a folder, a file each; for trials, where nobody else's address is."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def send(self, message: EmailMessage) -> None:
        """Write a letter; one that is written again replaces itself."""
        self._folder.mkdir(mode=0o700, exist_ok=True)
        name = str(message["Message-ID"]).strip("<>").partition("@")[0]
        path = self._folder / f"{name}.eml"
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(message.as_bytes(policy=SMTP))


def of(settings: Settings) -> Transport | None:
    """Return the way out of an instance; None: it sends no letters."""
    if settings.mail.host:
        return SmtpTransport(settings.mail)
    # Letters name people's addresses, so outside of a trial they are never left on a disk (P-20).
    if settings.server.insecure_loopback:
        return FolderTransport(settings.instance / FOLDER)
    return None
