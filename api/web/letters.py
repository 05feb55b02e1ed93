"""The words of letters to people, in both languages, as text and as simple HTML.

A letter says that something happened, with whom, and where to look; never what was shared. It is
written outside of any request, so it takes its language from the account.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from functools import cache
from urllib.parse import urlsplit

from babel import dates
from babel.support import NullTranslations, Translations
from jinja2 import Environment, FileSystemLoader

from api.web.languages import TRANSLATIONS
from pds.letters import SECURITY, LetterKind, Waiting

_TEMPLATES = Environment(
    loader=FileSystemLoader(TRANSLATIONS.parent / "templates"), autoescape=True
)


@dataclass(frozen=True, slots=True)
class _Words:
    """What one kind of letter says."""

    subject: str
    text: str
    label: str  # of the link
    path: str  # where it leads


def _l(message: str) -> str:
    """Mark a sentence for the catalogue; it is translated when a letter is written."""
    return message


_LASTING = _l("This letter is about the safety of your vault, so it cannot be switched off.")
_CHOSEN = _l("You choose which letters you get in the settings of your vault.")
_LOOK, _SETTINGS = _l("Look at it in your vault"), _l("Open the settings")
_CHANGES = {
    "granted": _l("You share with %(organisation)s what you chose, on the terms that you saw."),
    "changed": _l("You changed what you share with %(organisation)s. The new terms hold now."),
    "renewed": _l("You share with %(organisation)s for longer, on the same terms."),
    "paused": _l("Sharing with %(organisation)s is paused. It can read nothing until you resume."),
    "resumed": _l("Sharing with %(organisation)s goes on, on the same terms."),
    "ended": _l("Your connection with %(organisation)s has ended. It can read nothing any more."),
}
_WORDS: Mapping[LetterKind, _Words] = {
    LetterKind.REQUEST: _Words(
        _l("A request waits for you"),
        _l("%(organisation)s asks you to share data, and you have not decided. Nothing is shared."),
        _LOOK,
        "/connections",
    ),
    LetterKind.CHANGE: _Words(
        _l("A connection has changed"),
        "",  # one of _CHANGES
        _LOOK,
        "/connections",
    ),
    LetterKind.WITHDRAWN: _Words(
        _l("You stopped sharing"),
        _l("You stopped sharing with %(organisation)s. It can read nothing any more."),
        _LOOK,
        "/connections",
    ),
    LetterKind.EXPIRY: _Words(
        _l("A connection ends soon"),
        _l(
            "Your connection with %(organisation)s ends on %(day)s. If you do nothing, sharing"
            " stops by itself. In your vault you can share for longer, within the time that was"
            " asked for."
        ),
        _LOOK,
        "/connections",
    ),
    LetterKind.OVERDUE: _Words(
        _l("An organisation owes an answer"),
        _l(
            "%(organisation)s had to answer by %(day)s for what it owes you, such as deleting or"
            " correcting your data, and has not."
        ),
        _LOOK,
        "/connections",
    ),
    LetterKind.DORMANT: _Words(
        _l("An organisation reads again"),
        _l(
            "%(organisation)s had not read your data for a long time, and has read it now. If you"
            " do not expect that, stop sharing."
        ),
        _LOOK,
        "/activity",
    ),
    LetterKind.FROZEN: _Words(
        _l("Sharing rests: an organisation's keys may have been stolen"),
        _l(
            "On %(day)s we stopped %(organisation)s from reading your data, because its keys may be"
            " in the wrong hands. Nothing goes out until it has new keys and you have confirmed"
            " your connection again. You need not do anything now."
        ),
        _LOOK,
        "/connections",
    ),
    LetterKind.SIGN_IN: _Words(
        _l("A new device signed in"),
        _l(
            "Somebody signed in to your vault, on a device that was not used before. If it was not"
            " you, end that session and change your passphrase now."
        ),
        _l("See where you are signed in"),
        "/settings/sessions",
    ),
    LetterKind.CREDENTIALS: _Words(
        _l("Your passphrase was changed"),
        _l(
            "Your passphrase and your recovery code were changed. If it was not you, turn to the"
            " operator."
        ),
        _SETTINGS,
        "/settings",
    ),
    LetterKind.LOGIN: _Words(
        _l("You sign in under another name now"),
        _l(
            "The name that you sign in with was changed. If it was not you, change it back and"
            " change your passphrase, too."
        ),
        _SETTINGS,
        "/settings/name",
    ),
    LetterKind.APP_ADDED: _Words(
        _l("An app of yours may read your vault"),
        _l(
            "A program was let in to read from your vault. If it was not you, end its access and"
            " change your passphrase."
        ),
        _SETTINGS,
        "/settings/apps",
    ),
    LetterKind.RECOVERY_CODE: _Words(
        _l("You have a new recovery code"),
        _l(
            "A new recovery code was made for your vault, and the old one has ended. If it was not"
            " you, change your passphrase."
        ),
        _SETTINGS,
        "/settings",
    ),
    LetterKind.RECOVERY: _Words(
        _l("Your recovery code was used"),
        _l(
            "Your vault was opened with the recovery code, and a new passphrase was set. A second"
            " step at sign-in is off now, and passkeys are removed. If it was not you, turn to the"
            " operator."
        ),
        _SETTINGS,
        "/settings",
    ),
    LetterKind.SECOND_STEP_ON: _Words(
        _l("A second step at sign-in is on"),
        _l(
            "A sign-in to your vault needs a code from an app now. If it was not you, turn it off"
            " with your recovery code."
        ),
        _SETTINGS,
        "/settings/second-step",
    ),
    LetterKind.SECOND_STEP_OFF: _Words(
        _l("The second step at sign-in is off"),
        _l(
            "A sign-in to your vault needs no code from an app any more. If it was not you, change"
            " your passphrase now."
        ),
        _SETTINGS,
        "/settings/second-step",
    ),
    LetterKind.PASSKEY_ADDED: _Words(
        _l("A passkey was added"),
        _l(
            "A passkey was added to your vault, and all other devices were signed out. If it was"
            " not you, remove it and change your passphrase now."
        ),
        _SETTINGS,
        "/settings/passkeys",
    ),
    LetterKind.PASSKEY_REMOVED: _Words(
        _l("A passkey was removed"),
        _l(
            "A passkey of your vault was removed, and all other devices were signed out. If it was"
            " not you, change your passphrase now."
        ),
        _SETTINGS,
        "/settings/passkeys",
    ),
    LetterKind.PASSKEY_REFUSED: _Words(
        _l("A passkey was refused"),
        _l(
            "Somebody tried to sign in with a passkey of yours that counts its uses, and its count"
            " went back. There may be a copy of it: remove it, and add another."
        ),
        _SETTINGS,
        "/settings/passkeys",
    ),
    LetterKind.ADDRESS: _Words(
        _l("Letters no longer come here"),
        _l(
            "The address for letters about your vault was changed, and this one is no longer it. If"
            " it was not you, change your passphrase now."
        ),
        _SETTINGS,
        "/settings/letters",
    ),
    LetterKind.CONFIRM: _Words(
        _l("Confirm your address"),
        _l(
            "This address was given for letters about a vault. To confirm it, open the link, signed"
            " in, within 24 hours. If it was not you, do nothing."
        ),
        _l("Confirm"),
        "/settings/letters/confirm?code=%(code)s",
    ),
    LetterKind.LIMITED_LINK: _Words(
        _l("Your link for stopping to share"),
        _l(
            "Somebody gave the name of your vault and said that the passphrase is lost. With this"
            " link you see with whom you share, and can stop it. It works once, for 15 minutes, and"
            " shows no data. If it was not you, do nothing: nobody else was sent the link."
        ),
        _l("Go on without the passphrase"),
        "/limited/link/%(code)s",
    ),
    LetterKind.LIMITED_OPENED: _Words(
        _l("Your link was used"),
        _l(
            "The link that came by letter was used. For 15 minutes, sharing can be stopped with it;"
            " your data cannot be seen. If it was not you, somebody reads your mail: sign in and"
            " give another address for letters."
        ),
        _SETTINGS,
        "/settings/letters",
    ),
    LetterKind.DELETION_ASKED: _Words(
        _l("Your vault will be deleted"),
        _l(
            "Deletion of your vault was asked for. On %(day)s all sharing ends and its keys are"
            " destroyed: nobody can bring it back then. If you want to keep it, take that back"
            " before."
        ),
        _l("Keep the vault"),
        "/vault-deletion",
    ),
    LetterKind.DELETION_OFF: _Words(
        _l("Your vault is kept"),
        _l("Deletion of your vault had been asked for, and that was taken back. Nothing changes."),
        _LOOK,
        "/vault",
    ),
    LetterKind.DELETED: _Words(
        _l("Your vault is deleted"),
        _l(
            "All sharing has ended, and the keys of your vault are destroyed: nobody can read it"
            " any more. This is the last letter; your address is deleted with it."
        ),
        _l("What is left"),
        "/vault-deletion/done",
    ),
    LetterKind.UNMASKING_ASKED: _Words(
        _l("An auditor asks who you are"),
        _l(
            "An auditor who checks how organisations use data sees you under a pseudonym, and asks"
            " to know the name that you sign in with. You say yes or no; if you do nothing, it"
            " stays closed. Your records are not part of it."
        ),
        _l("See who asks, and why"),
        "/unmaskings",
    ),
    LetterKind.UNMASKED: _Words(
        _l("An auditor was told who you are"),
        _l(
            "An auditor sees you under a pseudonym. A second person agreed that this auditor may"
            " know the name that you sign in with, for a time. Your records were not shown."
        ),
        _l("See who, and why"),
        "/unmaskings",
    ),
}


def write(
    letter: Waiting,
    *,
    to: str,
    sender: str,
    locale: str,
    issuer: str,
    organisation: str = "",
    code: str = "",
) -> EmailMessage:
    """Write a letter.

    Args:
        letter: what it tells of, and when that was.
        to: address.
        sender: address.
        locale: `az` or `en`.
        issuer: public base URL of the server, which links begin with.
        organisation: name, in the letter's language; empty for what is about none.
        code: that the link carries: to confirm an address, or to sign in with limits.
    """
    translate = _translations(locale).gettext
    day = _day(letter.about.get("day", ""), locale)
    found = _WORDS[letter.kind]
    change = _CHANGES.get(letter.about.get("change", ""), "")
    sentence = translate(change if letter.kind is LetterKind.CHANGE else found.text)
    text = sentence % {"organisation": organisation, "day": day}
    words = _Words(translate(found.subject), text, translate(found.label), found.path)
    footer = translate(_LASTING if letter.kind in SECURITY else _CHOSEN)
    link = issuer + words.path % {"code": code}
    message = EmailMessage(policy=SMTP)
    message["From"] = sender
    message["To"] = to
    message["Subject"] = words.subject
    message["Date"] = format_datetime(letter.created_at)
    message["Message-ID"] = f"<{letter.id.hex}@{urlsplit(issuer).hostname}>"
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no automatic answers
    if letter.kind not in SECURITY:
        message["List-Unsubscribe"] = f"<{issuer}/settings/letters>"  # RFC 2369
    message.set_content(f"{words.text}\n\n{words.label}: {link}\n\n-- \n{footer}\n")
    html = _TEMPLATES.get_template("letter.html").render(
        words=words, link=link, footer=footer, locale=locale
    )
    message.add_alternative(html, subtype="html")
    return message


def _day(text: str, locale: str) -> str:
    if not text:
        return ""
    return str(dates.format_date(date.fromisoformat(text), "d MMMM yyyy", locale=locale))


@cache
def _translations(locale: str) -> NullTranslations:
    return Translations.load(str(TRANSLATIONS), [locale])
