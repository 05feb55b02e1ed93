"""Auditors at work in an engagement."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID

from api import seats
from api.worker import Worker
from consent import auditors
from consent.auditing import engagements


@dataclass(frozen=True)
class Engaged:
    """An auditor with an engagement."""

    world: object
    auditor_id: UUID
    engagement_id: UUID
    access: str = field(repr=False)

    def get(self, path, **query):
        """Ask the API."""
        headers = {"Authorization": f"Bearer {self.access}"}
        return self.world.http.get(f"/v1/audit/{path}", params=query, headers=headers)

    def post(self, path, body):
        """Write through the API."""
        headers = {"Authorization": f"Bearer {self.access}"}
        return self.world.http.post(f"/v1/audit/{path}", json=body, headers=headers)

    def end(self):
        """Have the operator end the engagement."""
        services = self.world.services
        services.uow.write(
            lambda session: engagements.end(
                session, self.engagement_id, log=services.log, now=services.clock.now()
            )
        )

    def sign_in(self, browser):
        """Sign in to the pages; returns where the desk is."""
        answer = browser.submit(browser.get("/auditor"), "access", access=self.access)
        assert answer.status == 303, answer.text
        return f"/auditor/engagements/{self.engagement_id}"


def new_auditor(world, name="Nigar"):
    """Return an auditor's id and access secret."""
    services = world.services
    auditor_id, secret = services.uow.write(
        lambda session: auditors.create(session, name, log=services.log, now=services.clock.now())
    )
    return auditor_id, secret.text()


def engaged(world, *organisations, days_before=30, days_after=30, days=30, auditor=None, beside=()):
    """Engage an auditor for some organisations, or for all, and a period around the present.

    `beside`: ids of other auditors who work in it, too.
    """
    services, (auditor_id, access) = world.services, auditor or new_auditor(world)
    now = services.clock.now()
    engagement_id = services.uow.write(
        lambda session: engagements.engage(
            session,
            [auditor_id, *beside],
            organisations=[each.id for each in organisations] if organisations else None,
            since=now - timedelta(days=days_before),
            until=now + timedelta(days=days_after),
            expires_at=now + timedelta(days=days),
            log=services.log,
            now=now,
        )
    )
    return Engaged(world, auditor_id, engagement_id, access)


def seat_of(auditor):
    """Return an auditor's seat in their engagement."""
    services = auditor.world.services
    return seats.take(services, seats.by_access(services, auditor.access), auditor.engagement_id)


def pseudonym_of(auditor, person):
    """Return how an auditor sees a person."""
    bucket = auditor.world.services.ids.bucket_of(person.vault_id)
    return seat_of(auditor).scope.pseudonyms.of(bucket, person.vault_id)


def asked_by(auditor, person, *, way="two-persons", reason="A complaint names this person."):
    """Have an auditor ask for a person's name; returns the id of the question."""
    service = auditor.world.services.unmasking
    return service.ask(seat_of(auditor), pseudonym_of(auditor, person), way=way, reason=reason)


def integrate(world):
    """Have everything that waits placed into the log and signed."""
    worker = Worker(world.services)
    worker.turn()
    worker.stop()
