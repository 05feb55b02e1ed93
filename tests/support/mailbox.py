"""The letters that an instance sent, as their readers see them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from email import message_from_bytes
from email.policy import SMTP, default

from api.letters.postman import Postman


@dataclass
class Mailbox:
    """A transport that keeps what it is given; with `fails` set it takes nothing."""

    letters: list = field(default_factory=list)
    fails: bool = False

    def send(self, message):
        if self.fails:
            raise ConnectionRefusedError("no mail server")
        self.letters.append(message_from_bytes(message.as_bytes(policy=SMTP), policy=default))

    def subjects(self):
        return [letter["Subject"] for letter in self.letters]

    def last_text(self):
        return self.letters[-1].get_body(("plain",)).get_content()

    def code(self):
        """Return the code of the last letter that asks to confirm an address."""
        return re.search(r"\?code=(\w+)", self.last_text())[1]

    def link(self):
        """Return the path of the last link that signs in with limits."""
        return re.search(r"(/limited/link/\S+)", self.last_text())[1]


def send_letters(services, mailbox):
    """Send every letter that is due."""
    postman = Postman(services, transport=mailbox)
    while postman.take(services.uow.write):
        postman.wait()
    postman.stop()
    return mailbox


def limited_link(services, login, mailbox):
    """Ask for a link as whoever lost the passphrase does; returns its path, from the letter."""
    limited = services.limited_sign_ins
    limited.ask(login, source=None)
    services.uow.write(lambda session: limited.answer_asks(session, now=services.clock.now()))
    return send_letters(services, mailbox).link()


def confirmed(services, person, mailbox, address="aysel@example.com"):
    """Give a person an address and confirm it; returns the emptied mailbox."""
    vault = person.visitor.vault
    services.notice_addresses.give(vault, address)
    send_letters(services, mailbox)
    services.notice_addresses.confirm(vault, mailbox.code())
    mailbox.letters.clear()
    return mailbox
