"""What happens reaches the endpoint, at least once, and is logged (ORG-17, ORG-18, ORG-19)."""

from __future__ import annotations

import base64
import json
import threading
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from sqlalchemy import update
from standardwebhooks import Webhook
from standardwebhooks.webhooks import WebhookVerificationError

from api.webhooks.courier import MOST_AT_ONCE, Courier
from api.webhooks.sending import Sender
from consent.log import feed
from consent.models import FeedEntry, FeedPending, Organisation
from consent.webhooks import deliveries, endpoints, keys
from consent.webhooks.deliveries import Answer, Outcome
from consent.webhooks.models import WebhookDelivery
from pds.errors import ConflictError, DecryptionError, LimitExceededError, NotFoundError
from pds.ids import random_uuid
from tests.support.receiver import receiving

WITHDRAWN = "consent.withdrawn"


def bodies(receiver):
    return [json.loads(one.body) for one in receiver.received]


def numbers(receiver):
    return [body["data"]["feed"] for body in bodies(receiver)]


def ids(receiver):
    return [one.headers["webhook-id"] for one in receiver.received]


def later(post, **step):
    post.clock.move(**step)
    return post.send()


def check_v1a(received, public_key):
    """Verify the Ed25519 signatures as the standard has them; raise if none holds."""
    key = Ed25519PublicKey.from_public_bytes(base64.b64decode(public_key.removeprefix("whpk_")))
    headers = received.headers
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + received.body
    for part in headers["webhook-signature"].split(" "):
        version, _, made = part.partition(",")
        if version == "v1a":
            try:
                return key.verify(base64.b64decode(made), signed)
            except InvalidSignature:
                continue
    raise InvalidSignature


def public_keys(post, endpoint):
    return keys.public_keys(post.wiring.keys, post.read_endpoint(endpoint), post.clock.now())


def test_a_message_holds_ids_and_nothing_else(post, bank, endpoint, receiver):
    """ORG-17: thin."""
    (connection,) = post.happen(bank, WITHDRAWN)

    post.send()

    (body,) = bodies(receiver)
    assert body == {
        "type": WITHDRAWN,
        "timestamp": post.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ"),
        "data": {"feed": 1, "connection": str(connection)},
    }
    assert post.read_endpoint(endpoint).failing_since is None


def test_a_library_that_we_did_not_write_verifies_it(post, bank, endpoint, receiver):
    post.happen(bank, WITHDRAWN)
    post.send()
    (received,) = receiver.received
    (secret,) = post.secret(endpoint)

    Webhook(secret).verify(received.body, received.headers)
    check_v1a(received, public_keys(post, endpoint)[0])

    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(received.body.replace(b"withdrawn", b"granted"), received.headers)
    other = received.headers | {"webhook-id": "msg_other"}
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(received.body, other)


def test_a_message_to_one_endpoint_passes_at_no_other(post, bank, endpoint):
    """THR-19: nobody who receives can pass a message on as ours."""
    with receiving() as second:
        other = post.endpoint(bank, second.url, secret=b"t" * 32)
        post.happen(bank, WITHDRAWN)
        post.send()
        (received,) = second.received

    with pytest.raises(WebhookVerificationError):
        Webhook(post.secret(endpoint)[0]).verify(received.body, received.headers)
    with pytest.raises(InvalidSignature):
        check_v1a(received, public_keys(post, endpoint)[0])
    check_v1a(received, public_keys(post, other)[0])


def test_messages_come_in_the_order_of_the_feed(post, bank, endpoint, receiver):
    post.happen(bank, *["consent.granted", "consent.paused", "consent.resumed", WITHDRAWN] * 3)

    while post.send():
        pass

    assert numbers(receiver) == list(range(1, 13))
    assert {one.state for one in post.messages()} == {"delivered"}
    assert post.read_endpoint(endpoint).state == "enabled"


def test_an_endpoint_gets_what_it_asked_for(post, bank, receiver):
    post.endpoint(bank, receiver.url, events=["data.updated"])
    post.happen(bank, WITHDRAWN, "data.updated")

    post.send()

    assert [body["type"] for body in bodies(receiver)] == ["data.updated"]


def test_another_organisations_news_is_not_sent(post, bank, endpoint, receiver):
    post.happen(post.organisation(), WITHDRAWN)

    assert (post.send(), receiver.received) == (0, [])
    assert post.read_endpoint(endpoint).organisation_id == bank


@pytest.mark.usefixtures("endpoint")
def test_messages_are_queued_with_the_numbers_or_not_at_all(post, bank, monkeypatch):
    """D17: nothing is lost between commit and send."""
    monkeypatch.setattr(deliveries, "queue", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        post.happen(bank, WITHDRAWN)
    monkeypatch.undo()

    assert post.uow.write(feed.number_feed) == 1

    assert [one.feed_number for one in post.messages()] == [1]


def test_what_was_sent_but_not_written_down_is_sent_again_under_its_id(
    post, bank, endpoint, receiver, monkeypatch
):
    """The process dies between the two: at least once, and the receiver can tell."""
    post.happen(bank, WITHDRAWN)
    monkeypatch.setattr(deliveries, "record", lambda *_, **__: 1 / 0)
    post.send()
    monkeypatch.undo()
    assert len(receiver.received) == 1

    assert post.send() == 0  # claimed: nobody else takes it meanwhile
    assert later(post, seconds=deliveries.CLAIMED_FOR.total_seconds()) == 1

    assert len(set(ids(receiver))) == 1 < len(receiver.received)
    (message,) = post.messages()
    assert (message.state, message.attempts) == ("delivered", 1)
    assert post.read_endpoint(endpoint).failures == 0


def test_two_workers_never_hold_the_same_message(post, bank, endpoint):
    post.happen(bank, *[WITHDRAWN] * 15)
    now = post.clock.now()
    started = threading.Barrier(2)
    claimed = []

    def claim():
        started.wait(10)
        claimed.extend(
            one.id
            for _ in range(2)
            for one in post.uow.write(lambda session: deliveries.claim(session, endpoint, now=now))
        )

    threads = [threading.Thread(target=claim) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(claimed) == len(set(claimed)) == 15


def test_a_failure_is_tried_again_by_the_schedule_and_then_given_up(post, bank, endpoint):
    """ORG-18; nothing listens on that port."""
    post.with_endpoint(endpoint, lambda _, found: setattr(found, "url", "http://127.0.0.1:9/"))
    post.happen(bank, WITHDRAWN)
    waits = []
    for _ in range(10):
        assert post.send() == 1
        (message,) = post.messages()
        if message.state != "pending":
            break
        waits.append(message.due_at - post.clock.now())
        post.clock.instant = message.due_at - timedelta(seconds=1)
        assert post.send() == 0
        post.clock.move(seconds=1)

    plain = [5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400]
    assert len(waits) == len(plain)
    for wait, least in zip(waits, plain, strict=True):
        assert least <= wait.total_seconds() <= least * 1.2
    assert len({wait.total_seconds() / least for wait, least in zip(waits, plain, strict=True)}) > 1
    assert (message.state, message.attempts) == ("failed", 10)
    assert {one.outcome for one in post.attempts()} == {"unreachable"}
    found = post.read_endpoint(endpoint)
    assert (found.state, found.disabled_reason) == ("disabled", "failing")


def test_a_message_that_is_given_up_while_others_arrive_ends_no_endpoint(
    post, bank, endpoint, receiver
):
    post.happen(bank, WITHDRAWN)
    post.uow.write(lambda session: session.execute(update(WebhookDelivery).values(tries=9)))
    receiver.answer(500)

    post.send()

    assert [one.state for one in post.messages()] == ["failed"]
    assert post.read_endpoint(endpoint).state == "enabled"


@pytest.mark.parametrize(
    ("asked", "bounds"),
    [
        ("3600", (3_600, 3_600)),
        ("99999999", (86_400, 86_400)),
        ("1", (5, 6)),
        ("soon", (5, 6)),
    ],
    ids=["longer than the schedule", "beyond all bounds", "shorter", "not a time"],
)
@pytest.mark.usefixtures("endpoint")
def test_retry_after_is_honoured_within_bounds(post, bank, receiver, asked, bounds):
    post.happen(bank, WITHDRAWN)
    receiver.answer(503, Retry_After=asked)

    post.send()

    (message,) = post.messages()
    assert bounds[0] <= (message.due_at - post.clock.now()).total_seconds() <= bounds[1]


def test_an_endpoint_that_asks_for_rest_is_not_sent_other_messages(post, bank, endpoint, receiver):
    post.happen(bank, WITHDRAWN)
    receiver.answer(429, Retry_After="600")
    post.send()
    post.happen(bank, WITHDRAWN)

    assert later(post, seconds=300) == 0
    assert later(post, seconds=301) == 1

    assert numbers(receiver) == [1, 1, 2]
    assert post.read_endpoint(endpoint).rests_until is None


@pytest.mark.usefixtures("endpoint")
def test_the_first_failure_ends_a_batch_and_the_rest_keeps_its_order(post, bank, receiver):
    post.happen(bank, WITHDRAWN, WITHDRAWN, WITHDRAWN)
    receiver.answer(500)

    post.send()
    later(post, seconds=7)

    assert numbers(receiver) == [1, 1, 2, 3]


def test_410_disables_at_once_and_says_why(post, bank, endpoint, receiver):
    post.happen(bank, WITHDRAWN, WITHDRAWN)
    receiver.answer(410)

    post.send()

    found = post.read_endpoint(endpoint)
    assert (found.state, found.disabled_reason) == ("disabled", "gone")
    assert {one.state for one in post.messages()} == {"failed"}
    post.happen(bank, WITHDRAWN)
    assert (later(post, days=1), len(receiver.received)) == (0, 1)


@pytest.mark.usefixtures("endpoint")
def test_a_redirect_is_a_failure_and_not_followed(post, bank, receiver):
    """SEC-S52."""
    with receiving() as elsewhere:
        receiver.answer(307, Location=elsewhere.url)
        post.happen(bank, WITHDRAWN)
        post.send()

        assert elsewhere.received == []
    assert [(one.outcome, one.status) for one in post.attempts()] == [("redirect", 307)]


def test_whoever_is_suspended_is_sent_nothing_until_reinstated(post, bank, endpoint, receiver):
    """P-30."""
    post.happen(bank, WITHDRAWN)
    set_standing(post, bank, "suspended")
    assert (post.send(), receiver.received) == (0, [])

    set_standing(post, bank, "good")

    assert post.send() == 1
    assert post.read_endpoint(endpoint).state == "enabled"


def set_standing(post, organisation, standing):
    post.uow.write(
        lambda session: session.execute(
            update(Organisation).where(Organisation.id == organisation).values(standing=standing)
        )
    )


def test_one_that_is_slow_holds_up_no_other(post, bank, endpoint, receiver):
    receiver.gate = threading.Event()
    courier = Courier(post.wiring, sender=Sender(timeout_seconds=20))
    with receiving() as quick:
        other = post.organisation()
        post.endpoint(other, quick.url)
        post.happen(bank, *[WITHDRAWN] * 30)
        assert courier.take(post.uow.write) == 1
        post.happen(other, WITHDRAWN)

        assert courier.take(post.uow.write) == 1  # and not the slow one a second time
        eventually(lambda: quick.received)

        assert [one.state for one in post.messages()].count("delivered") <= 1
        receiver.gate.set()
        courier.wait()
        courier.stop()
    assert post.read_endpoint(endpoint).failing_since is None


def test_one_organisation_has_a_share_of_the_threads(post, bank, receiver):
    receiver.gate = threading.Event()
    for _ in range(endpoints.MOST_ENDPOINTS):
        post.endpoint(bank, receiver.url)
    post.happen(bank, WITHDRAWN)
    courier = Courier(post.wiring)

    taken = courier.take(post.uow.write)
    eventually(lambda: len(receiver.received) == taken)
    again = courier.take(post.uow.write)

    receiver.gate.set()
    courier.wait()
    courier.stop()
    assert (taken, again) == (2, 0)
    assert taken < MOST_AT_ONCE


def test_stopping_gives_back_what_was_not_sent(post, bank, endpoint, receiver):
    receiver.gate = threading.Event()
    post.happen(bank, *[WITHDRAWN] * 5)
    courier = Courier(post.wiring)
    courier.take(post.uow.write)
    eventually(lambda: receiver.received)
    stopping = threading.Thread(target=courier.stop)
    stopping.start()
    eventually(courier._stopping.is_set)
    receiver.gate.set()
    stopping.join()

    assert len(receiver.received) == 1
    assert post.send() == 1

    assert numbers(receiver) == [1, 2, 3, 4, 5]
    assert post.read_endpoint(endpoint).state == "enabled"


def test_both_secrets_sign_until_the_overlap_is_over(post, bank, endpoint, receiver):
    """ORG-19: whoever has not changed the secret yet still verifies."""
    (old,) = post.secret(endpoint)
    (old_key,) = public_keys(post, endpoint)
    post.with_endpoint(
        endpoint,
        lambda _, found: endpoints.rotate(
            post.wiring.keys, found, secret=b"n" * 32, now=post.clock.now()
        ),
    )
    post.happen(bank, WITHDRAWN)
    post.send()
    (received,) = receiver.received
    new = post.secret(endpoint)[0]

    assert new != old
    assert public_keys(post, endpoint)[1] == old_key
    for secret in (new, old):
        Webhook(secret).verify(received.body, received.headers)
    for key in public_keys(post, endpoint):
        check_v1a(received, key)

    post.clock.move(hours=24)
    assert post.secret(endpoint) == [new]
    assert old_key not in public_keys(post, endpoint)


def test_secrets_are_sealed_and_bound_to_their_endpoint(post, bank, endpoint, receiver):
    """P-19: a row that is swapped with another's opens nothing."""
    other = post.endpoint(bank, receiver.url, secret=b"o" * 32)
    box = post.read_endpoint(other).secret_box
    assert b"o" * 32 not in box
    post.with_endpoint(endpoint, lambda _, found: setattr(found, "secret_box", box))

    with pytest.raises(DecryptionError):
        post.secret(endpoint)


def test_a_message_is_sent_again_when_asked_for_under_its_id(post, bank, endpoint, receiver):
    post.happen(bank, WITHDRAWN)
    post.send()
    (message,) = post.messages()

    again(post, endpoint, deliveries.redeliver, message.id)
    post.send()

    assert len(set(ids(receiver))) == 1
    assert [one.number for one in post.attempts()] == [1, 2]


def test_a_range_brings_also_what_was_never_sent(post, bank, endpoint, receiver):
    post.happen(bank, WITHDRAWN, WITHDRAWN)
    post.send()
    change(post, endpoint, enabled=False)
    post.happen(bank, WITHDRAWN, WITHDRAWN)
    change(post, endpoint, enabled=True)

    queued = post.with_endpoint(
        endpoint,
        lambda session, found: deliveries.redeliver_range(
            session, found, first=2, last=4, now=post.clock.now()
        ),
    )
    post.send()

    assert queued == 3
    assert numbers(receiver) == [1, 2, 2, 3, 4]


def test_what_is_on_its_way_is_not_sent_twice_by_asking(post, bank, endpoint):
    post.happen(bank, WITHDRAWN)
    now = post.clock.now()
    post.uow.write(lambda session: deliveries.claim(session, endpoint, now=now))
    (message,) = post.messages()

    again(post, endpoint, deliveries.redeliver, message.id)

    assert post.send() == 0


def test_a_disabled_endpoint_is_asked_in_vain(post, bank, endpoint):
    post.happen(bank, WITHDRAWN)
    (message,) = post.messages()
    change(post, endpoint, enabled=False)

    with pytest.raises(ConflictError):
        again(post, endpoint, deliveries.redeliver, message.id)
    with pytest.raises(ConflictError):
        post.with_endpoint(
            endpoint,
            lambda session, found: deliveries.queue_test(session, found, now=post.clock.now()),
        )


def test_another_endpoints_message_is_not_there(post, bank, endpoint, receiver):
    other = post.endpoint(bank, receiver.url, events=["data.updated"])
    post.happen(bank, WITHDRAWN)
    (message,) = post.messages()
    assert message.endpoint_id == endpoint

    with pytest.raises(NotFoundError):
        again(post, other, deliveries.redeliver, message.id)


def test_an_endpoint_that_was_deleted_while_it_was_sent_to_leaves_nothing(post, bank, endpoint):
    post.happen(bank, WITHDRAWN)
    (message,) = post.messages()
    post.with_endpoint(endpoint, endpoints.remove)

    post.uow.write(
        lambda session: deliveries.record(
            session, message.id, Answer(Outcome.DELIVERED, 1, 200), chance=0, now=post.clock.now()
        )
    )

    assert post.messages() == post.attempts() == []


def test_an_organisation_has_a_bounded_number_of_endpoints(post, bank, receiver):
    for _ in range(endpoints.MOST_ENDPOINTS):
        post.endpoint(bank, receiver.url)

    with pytest.raises(LimitExceededError):
        post.endpoint(bank, receiver.url)


def test_a_message_about_an_obligation_names_it(post, bank, endpoint, receiver):
    obligation = random_uuid()
    at = post.clock.now()
    row = {
        "bucket": 7,
        "id": random_uuid(),
        "organisation_id": bank,
        "connection_id": random_uuid(),
        "event": "obligation.overdue",
        "obligation_id": obligation,
        "at": at,
    }
    post.uow.write(lambda session: session.add(FeedPending(**row)))
    post.uow.write(feed.number_feed)

    post.send()

    assert bodies(receiver)[0]["data"]["obligation"] == str(obligation)
    assert post.read_endpoint(endpoint).failures == 0


def test_the_log_ends_after_thirty_days_and_the_feed_stays(post, bank, endpoint):
    post.happen(bank, WITHDRAWN)
    post.send()
    sweep = deliveries.sweep
    now = post.clock.move(days=30)

    assert post.uow.write(lambda session: sweep(session, now=now - timedelta(hours=1))) == 0
    assert post.uow.write(lambda session: sweep(session, now=now)) == 1

    assert post.messages() == post.attempts() == []
    with post.uow.read() as session:
        assert session.query(FeedEntry).count() == 1
    assert post.read_endpoint(endpoint) is not None


def test_the_clock_that_signs_is_the_servers(post, bank, endpoint, receiver):
    post.happen(bank, WITHDRAWN)
    post.send()

    stamp = int(receiver.received[0].headers["webhook-timestamp"])

    assert datetime.fromtimestamp(stamp, UTC) == post.clock.now()
    assert post.read_endpoint(endpoint).failures == 0


def again(post, endpoint, act, delivery_id):
    return post.with_endpoint(
        endpoint, lambda session, found: act(session, found, delivery_id, now=post.clock.now())
    )


def change(post, endpoint, **changes):
    post.with_endpoint(endpoint, lambda session, found: endpoints.change(session, found, **changes))


def eventually(condition):
    waited = threading.Event()
    for _ in range(1_000):
        if condition():
            return
        waited.wait(0.01)
    raise AssertionError("it never came")
