"""How letters leave: over SMTP that is really spoken, and into a folder (P-20)."""

from __future__ import annotations

import smtplib
import socket
import ssl
import stat
from contextlib import contextmanager
from dataclasses import replace
from email.message import EmailMessage

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

from api.letters import transports
from api.letters.transports import FolderTransport, SmtpTransport
from pds.errors import ConfigurationError
from pds.settings import MailSettings, ServerSettings, Settings
from tests.support.certificates import certificate_for


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    return certificate_for("localhost", tmp_path_factory.mktemp("tls") / "mail.pem")


class Taken:
    """Takes every letter."""

    def __init__(self):
        self.letters = []

    async def handle_DATA(self, _server, _session, envelope):  # noqa: N802 - the library's hook
        self.letters.append(envelope)
        return "250 taken"


@contextmanager
def mail_server(**options):
    taken = Taken()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    controller = Controller(taken, hostname="127.0.0.1", port=port, **options)
    controller.start()
    try:
        yield port, taken.letters
    finally:
        controller.stop()


def server_side(certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


def message():
    made = EmailMessage()
    made["From"], made["To"] = "vault@vault.example", "aysel@example.com"
    made["Subject"], made["Message-ID"] = "Söz", "<1@vault.example>"
    made.set_content("Salam")
    return made


def send(port, *, tls="starttls", trusted=None, **settings):
    mail = MailSettings(host="localhost", port=port, tls=tls, sender="v@v.example", **settings)
    context = ssl.create_default_context(cafile=trusted) if trusted else None
    SmtpTransport(mail, tls=context).send(message())


def test_a_letter_is_handed_over_on_an_encrypted_line(certificate):
    options = {"tls_context": server_side(certificate), "require_starttls": True}
    with mail_server(**options) as (port, letters):
        send(port, trusted=certificate)

    assert [one.rcpt_tos for one in letters] == [["aysel@example.com"]]


def test_nothing_is_sent_to_a_server_without_encryption():
    """RFC 3207 section 6: whoever strips STARTTLS gets nothing."""
    with mail_server() as (port, letters), pytest.raises(smtplib.SMTPException):
        send(port)

    assert letters == []


def test_nothing_is_sent_to_a_server_that_nobody_vouches_for(certificate):
    with (
        mail_server(tls_context=server_side(certificate)) as (port, letters),
        pytest.raises(OSError, match="certificate"),
    ):
        send(port)

    assert letters == []


def test_a_name_and_password_are_given_on_the_encrypted_line(certificate, tmp_path):
    secret = tmp_path / "password"
    secret.write_text("letmein\n")
    secret.chmod(0o600)
    seen = []

    def check(_server, _session, _envelope, _mechanism, data):
        seen.append((data.login, data.password))
        return AuthResult(success=True)

    options = {"tls_context": server_side(certificate), "authenticator": check}
    with mail_server(auth_required=True, **options) as (port, letters):
        send(port, trusted=certificate, username="vault", password_file=str(secret))

    assert (seen, len(letters)) == ([(b"vault", b"letmein")], 1)


def test_a_password_that_others_may_read_is_not_used(certificate, tmp_path):
    secret = tmp_path / "password"
    secret.write_text("letmein")
    secret.chmod(0o644)

    with (
        mail_server(tls_context=server_side(certificate)) as (port, _),
        pytest.raises(ConfigurationError, match="chmod 600"),
    ):
        send(port, trusted=certificate, username="vault", password_file=str(secret))


def test_a_folder_takes_letters_that_only_its_owner_reads(tmp_path):
    folder = tmp_path / "mail"

    FolderTransport(folder).send(message())
    FolderTransport(folder).send(message())

    (path,) = folder.iterdir()
    assert b"U2FsYW0" in path.read_bytes() or b"Salam" in path.read_bytes()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_outside_of_a_trial_no_letter_is_left_on_a_disk(tmp_path):
    """P-20: addresses stand in letters."""
    real = Settings(tmp_path, server=ServerSettings(issuer="https://vault.example"))
    trial = Settings(tmp_path, server=ServerSettings(insecure_loopback=True))
    mailed = replace(real, mail=MailSettings(host="mail.example", sender="v@v.example"))

    assert transports.of(real) is None
    assert isinstance(transports.of(trial), FolderTransport)
    assert isinstance(transports.of(mailed), SmtpTransport)
