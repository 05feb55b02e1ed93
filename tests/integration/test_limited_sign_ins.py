"""Limited sign-in: asked for, sent, spent, resolved, ended (P-16)."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import insert, select

from api.worker import sweep
from consent.models import Event
from pds import letters
from pds.accounts import login_tag
from pds.crypto.secrets import TokenSecret, mint, parse
from pds.errors import LimitExceededError, NotFoundError
from pds.letters import MOST_AN_HOUR, LetterKind
from pds.limited_sign_ins import ASKS_A_QUARTER_HOUR, LINKS_A_QUARTER_HOUR
from pds.models import Account, KeyWrap, LimitedAsk, LimitedLink, LimitedSignIn, SignIn, Throttle
from tests.support.mailbox import Mailbox, confirmed, limited_link, send_letters
from tests.support.statements import recorded

LINK = "Your link for stopping to share"


@pytest.fixture
def limited(world):
    return world.services.limited_sign_ins


@pytest.fixture
def mailbox(world, aysel):
    return confirmed(world.services, aysel, Mailbox())


@pytest.fixture
def link(world, aysel, mailbox):
    """Give a link that Aysel was sent."""
    return secret_of(limited_link(world.services, aysel.login, mailbox))


def secret_of(path):
    return parse(path.rpartition("/")[2], "ll")


def answered(world, mailbox):
    """Let the worker answer, and send the letters; returns how many asks there were."""
    services, answered_so_far = world.services, 0
    while found := services.uow.write(
        lambda session: services.limited_sign_ins.answer_asks(session, now=services.clock.now())
    ):
        answered_so_far += found
    send_letters(services, mailbox)
    return answered_so_far


def rows(world, model):
    with world.services.uow.read() as session:
        return session.scalars(select(model)).all()


def events(world):
    return [event.name for event in sorted(rows(world, Event), key=lambda one: one.id)]


def of_credentials(world):
    """Return all that a sign-in needs, and every wrapped key."""
    (account,) = rows(world, Account)
    return (
        account.passphrase_verifier,
        account.recovery_verifier,
        account.notice_box,
        sorted((row.by_kind, row.wrapped_kind, row.blob) for row in rows(world, KeyWrap)),
        [row.selector for row in rows(world, SignIn)],
    )


def test_known_and_unknown_names_cost_the_same_statements(world, limited, mailbox):
    """SEC-S05, THR-11: whose name it is the worker finds out, apart from the request."""
    asked = []
    for number, login in enumerate(
        ("aysel", "nobody of that name", " AYSEL", "nobody of That name")
    ):
        with recorded(world) as found:
            assert limited.ask(login, source=f"81.21.80.{number}") is None
        asked.append((found.reads, found.jobs))

    assert asked[0] == asked[1]
    assert asked[2] == asked[3]
    assert {ask.tag for ask in rows(world, LimitedAsk)} == {
        login_tag(world.services.keys.login_tag, login)
        for login in ("aysel", "nobody of that name")
    }
    assert answered(world, mailbox) == 2
    assert mailbox.subjects() == [LINK]


def test_asks_are_throttled_by_name_and_by_address_and_lock_nobody_out(
    world, clock, limited, mailbox
):
    """P-39: whoever fills the owner's window has sent the owner links that work."""
    for _ in range(LINKS_A_QUARTER_HOUR + 2):
        assert limited.ask("aysel", source=None) is None  # the answer stays the same
        answered(world, mailbox)
    assert mailbox.subjects() == [LINK] * LINKS_A_QUARTER_HOUR
    assert limited.is_good(secret_of(mailbox.link()))

    for number in range(ASKS_A_QUARTER_HOUR):
        limited.ask(f"name {number}", source="81.21.80.1")
    filled = len(rows(world, Throttle))
    with pytest.raises(LimitExceededError) as refused:
        limited.ask("another name", source="81.21.80.1")
    assert 0 < refused.value.retry_after_seconds <= 901
    assert len(rows(world, Throttle)) == filled  # it fills no name's window
    limited.ask("another name", source="81.21.80.2")

    clock.move(minutes=15, seconds=1)
    limited.ask("aysel", source="81.21.80.1")
    answered(world, mailbox)
    assert limited.is_good(secret_of(mailbox.link()))


def test_a_link_is_sent_in_time_or_not_at_all(world, clock, limited, aysel, mailbox):
    """Ten letters an hour hold back the rest, but no link; what waited too long is not sent."""
    vault, now = aysel.visitor.vault, world.services.clock.now()

    def many(session):
        for _ in range(MOST_AN_HOUR + 1):
            letters.queue(session, vault.bucket, vault.id, LetterKind.SIGN_IN, now=now)

    world.services.uow.write(many)
    send_letters(world.services, mailbox)
    link = secret_of(limited_link(world.services, aysel.login, mailbox))
    assert limited.is_good(link)

    mailbox.fails = True
    limited.ask("aysel", source=None)
    answered(world, mailbox)
    mailbox.fails = False
    mailbox.letters.clear()
    clock.move(minutes=16)
    limited.ask("aysel", source=None)
    clock.move(minutes=16)
    assert answered(world, mailbox) == 1
    assert LINK not in mailbox.subjects()


def test_without_a_confirmed_address_nothing_is_sent(world, limited, aysel):
    world.services.notice_addresses.give(aysel.visitor.vault, "aysel@example.com")
    mailbox = send_letters(world.services, Mailbox())
    limited.ask(aysel.login, source=None)
    answered(world, mailbox)

    assert mailbox.subjects() == ["Confirm your address"]
    assert events(world)[-1] == "vault.limited_asked"


def test_a_link_is_spent_once_with_every_other_of_its_vault_and_told_of(
    world, limited, aysel, mailbox, link
):
    """SEC-S45: looking spends nothing. It wraps no key, and changes nothing of a sign-in."""
    other = secret_of(limited_link(world.services, aysel.login, mailbox))
    for forged in (mint("ll", link.selector), mint("ll", mint("ll", link.selector).selector)):
        assert not limited.is_good(forged)
        with pytest.raises(NotFoundError):
            limited.open(forged)
    assert limited.is_good(link)
    assert limited.is_good(link)
    before = of_credentials(world)
    opened = limited.open(link)

    for spent in (link, other):
        assert not limited.is_good(spent)
        with pytest.raises(NotFoundError):
            limited.open(spent)
    assert limited.resolve(opened).vault == aysel.visitor.vault
    assert [row.verifier for row in rows(world, LimitedSignIn)] == [opened.verifier()]
    assert of_credentials(world) == before
    assert send_letters(world.services, mailbox).subjects() == [LINK, LINK, "Your link was used"]
    assert events(world)[-3:] == [*["vault.limited_asked"] * 2, "vault.limited_opened"]


def test_of_many_who_use_a_link_at_once_one_gets_in(world, limited, link):
    def use(_):
        try:
            return limited.open(link)
        except NotFoundError:
            return None

    with ThreadPoolExecutor(8) as pool:
        opened = [one for one in pool.map(use, range(8)) if one]

    assert len(opened) == len(rows(world, LimitedSignIn)) == 1
    assert events(world).count("vault.limited_opened") == 1


def test_link_and_session_end_after_15_minutes_and_are_swept(world, limited, aysel, mailbox, link):
    """The session whatever it does; its row stays until its owner has been told."""
    clock = world.services.clock
    clock.move(minutes=14, seconds=58)
    opened = limited.open(link)
    late = secret_of(limited_link(world.services, aysel.login, mailbox))
    clock.move(minutes=14, seconds=58)
    assert limited.resolve(opened)
    assert limited.is_good(late)
    clock.move(seconds=2)

    assert limited.resolve(opened) is None
    assert not limited.is_good(late)
    with pytest.raises(NotFoundError):
        limited.open(late)
    limited.ask("nobody", source=None)
    vault = aysel.visitor.vault
    clock.move(days=90)
    sweep(world.services)
    assert (rows(world, LimitedLink), rows(world, LimitedAsk)) == ([], [])
    assert limited.end_all(vault)


def test_a_sign_in_ends_links_and_sessions_and_tells_of_their_use_once(
    world, limited, aysel, mailbox, link
):
    leyla, vault = world.person("leyla"), aysel.visitor.vault
    opened = limited.open(link)
    unused = secret_of(limited_link(world.services, aysel.login, mailbox))

    assert not limited.end_all(leyla.visitor.vault)
    assert limited.resolve(opened)
    assert limited.end_all(vault)
    assert limited.resolve(opened) is None
    assert not limited.is_good(unused)
    assert not limited.end_all(vault)


@pytest.mark.tampers
def test_a_limited_row_that_is_moved_among_the_sign_ins_signs_nobody_in(world, limited, link):
    """P-15: a writer of the database makes no full session of it; the verifier is of its kind."""
    opened = limited.open(link)
    (row,) = rows(world, LimitedSignIn)
    names = ("bucket", "selector", "vault_id", "verifier", "created_at", "expires_at")
    values = {name: getattr(row, name) for name in names} | {"seen_at": row.created_at}
    world.services.uow.write(lambda session: session.execute(insert(SignIn).values(values)))
    as_sign_in = TokenSecret("s", opened.selector, opened.secret)

    assert world.services.sessions.resolve(as_sign_in, None) is None
