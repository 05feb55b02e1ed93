"""How request, agreement, consent and grant move: one table of acts, and nothing moves outside it.

An act is what one actor does, or what time does, about one consent. It moves each of the four
objects from one of its sources to its target, all in one transaction (D8, CM-9). What the table
does not list cannot happen: no terminal state is the source of anything, so none reopens (CM-6).
Pure; docs/consent-model.md draws it, and a test compares the two.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

from consent.vocabulary import (
    Actor,
    AgreementState,
    ConsentStatus,
    EventName,
    FeedEvent,
    GrantState,
    RequestState,
)
from pds.errors import ConflictError

S = TypeVar("S", bound=StrEnum)


class Act(StrEnum):
    """What is done about one consent."""

    SHOW = "show"
    ALLOW = "allow"
    ALLOW_PART = "allow_part"
    REFUSE = "refuse"
    DEFER = "defer"
    AMEND = "amend"
    AMEND_PART = "amend_part"
    RENEW = "renew"
    RENEW_PART = "renew_part"
    NARROW = "narrow"  # by the person alone, without a request
    EXTEND = "extend"  # likewise: the same terms with a later end
    PAUSE = "pause"
    RESUME = "resume"
    WITHDRAW = "withdraw"
    REPLACE = "replace"
    TERMINATE = "terminate"
    EXCLUDE = "exclude"  # the organisation was suspended or removed
    INVALIDATE = "invalidate"
    EXPIRE = "expire"
    FULFIL = "fulfil"


@dataclass(frozen=True, slots=True)
class Step(Generic[S]):
    """From which states an act moves an object, and to which.

    A source of None: it does not exist yet. An object in one of the states of `resting` stays as
    it is, and the act happens all the same.
    """

    sources: tuple[S | None, ...]
    target: S
    resting: tuple[S, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """What an act does to each object, who may bring it about, and what the log calls it."""

    act: Act
    actors: tuple[Actor, ...]
    event: EventName
    request: Step[RequestState] | None = None
    agreement: Step[AgreementState] | None = None
    consent: Step[ConsentStatus] | None = None
    grant: Step[GrantState] | None = None
    news: FeedEvent | None = None  # what the organisation is told; None: by what comes with it
    owes_deletion: bool = False

    def is_by(self, actor: Actor) -> Move:
        """Return the move, if this actor may make it.

        Raises:
            ConflictError: the act is not theirs.
        """
        if actor not in self.actors:
            raise ConflictError(f"{self.act} is not for the {actor}")
        return self


@dataclass(frozen=True, slots=True)
class Transition:
    """One line of the table for one object, as the diagrams draw it."""

    source: str | None
    act: Act
    actor: Actor
    target: str
    event: EventName


_NEW = (None,)
_AGREEMENT_LIVES = (AgreementState.ACTIVE, AgreementState.SUSPENDED)
_PERMITTING = (ConsentStatus.GIVEN, ConsentStatus.RENEWED)
_CONSENT_LIVES = (*_PERMITTING, ConsentStatus.PAUSED)
_GRANT_LIVES = (GrantState.ACTIVE, GrantState.PAUSED)


def _decision(act: Act, target: RequestState) -> Move:
    return Move(
        act=act,
        actors=(Actor.INDIVIDUAL,),
        event=EventName.CONSENT_GIVEN,
        request=Step((RequestState.SEEN,), target),
        agreement=Step(_NEW, AgreementState.ACTIVE),
        consent=Step(_NEW, ConsentStatus.GIVEN),
        grant=Step(_NEW, GrantState.ACTIVE),
    )


def _amendment(act: Act, request: RequestState | None, *, renews: bool = False) -> Move:
    # What was paused stays paused: new terms are no word about that.
    event = EventName.CONSENT_RENEWED if renews else EventName.CONSENT_CHANGED
    status = ConsentStatus.RENEWED if renews else ConsentStatus.GIVEN
    return Move(
        act=act,
        actors=(Actor.INDIVIDUAL,),
        event=event,
        request=Step((RequestState.SEEN,), request) if request else None,
        agreement=Step(
            (AgreementState.ACTIVE,), AgreementState.ACTIVE, (AgreementState.SUSPENDED,)
        ),
        consent=Step(_PERMITTING, status, (ConsentStatus.PAUSED,)),
        grant=Step((GrantState.ACTIVE,), GrantState.ACTIVE, (GrantState.PAUSED,)),
        news=FeedEvent.CONSENT_CHANGED,
    )


def _end(  # noqa: PLR0917 - a line of the table
    act: Act,
    actors: tuple[Actor, ...],
    event: EventName,
    agreement: AgreementState,
    consent: ConsentStatus,
    grant: GrantState,
    *,
    is_final: bool = True,
) -> Move:
    return Move(
        act=act,
        actors=actors,
        event=event,
        agreement=Step(_AGREEMENT_LIVES, agreement),
        consent=Step(_CONSENT_LIVES, consent),
        grant=Step(_GRANT_LIVES, grant),
        news=FeedEvent(event) if is_final else None,
        owes_deletion=is_final,
    )


_TABLE = (
    Move(
        act=Act.SHOW,
        actors=(Actor.INDIVIDUAL,),
        event=EventName.CONSENT_SHOWN,
        request=Step((None, RequestState.DEFERRED), RequestState.SEEN),
    ),
    _decision(Act.ALLOW, RequestState.APPROVED),
    _decision(Act.ALLOW_PART, RequestState.APPROVED_NARROWED),
    Move(
        act=Act.REFUSE,
        actors=(Actor.INDIVIDUAL,),
        event=EventName.CONSENT_REFUSED,
        request=Step((RequestState.SEEN,), RequestState.REFUSED),
        # Kept in the refusal's receipt: there is no agreement for it to be an event of.
        consent=Step(_NEW, ConsentStatus.REFUSED),
    ),
    Move(
        act=Act.DEFER,
        actors=(Actor.INDIVIDUAL,),
        event=EventName.CONSENT_DEFERRED,
        request=Step((RequestState.SEEN,), RequestState.DEFERRED),
        consent=Step(_NEW, ConsentStatus.DEFERRED),  # likewise
    ),
    _amendment(Act.AMEND, RequestState.APPROVED),
    _amendment(Act.AMEND_PART, RequestState.APPROVED_NARROWED),
    _amendment(Act.RENEW, RequestState.APPROVED, renews=True),
    _amendment(Act.RENEW_PART, RequestState.APPROVED_NARROWED, renews=True),
    _amendment(Act.NARROW, None),
    _amendment(Act.EXTEND, None, renews=True),
    Move(
        act=Act.PAUSE,
        actors=(Actor.INDIVIDUAL,),
        event=EventName.CONSENT_PAUSED,
        news=FeedEvent.CONSENT_PAUSED,
        agreement=Step((AgreementState.ACTIVE,), AgreementState.SUSPENDED),
        consent=Step(_PERMITTING, ConsentStatus.PAUSED),
        grant=Step((GrantState.ACTIVE,), GrantState.PAUSED),
    ),
    Move(
        act=Act.RESUME,
        actors=(Actor.INDIVIDUAL,),
        event=EventName.CONSENT_RESUMED,
        news=FeedEvent.CONSENT_RESUMED,
        agreement=Step((AgreementState.SUSPENDED,), AgreementState.ACTIVE),
        consent=Step((ConsentStatus.PAUSED,), ConsentStatus.GIVEN),
        grant=Step((GrantState.PAUSED,), GrantState.ACTIVE),
    ),
    _end(
        Act.WITHDRAW,
        (Actor.INDIVIDUAL,),
        EventName.CONSENT_WITHDRAWN,
        AgreementState.WITHDRAWN,
        ConsentStatus.WITHDRAWN,
        GrantState.REVOKED,
    ),
    _end(
        Act.REPLACE,
        (Actor.INDIVIDUAL,),
        EventName.CONSENT_TERMINATED,
        AgreementState.TERMINATED,
        ConsentStatus.REVOKED,
        GrantState.REVOKED,
        # What was received, the agreement that takes its place covers; and the organisation is told
        # of that one alone, so that whoever listens for ends deletes nothing still agreed.
        is_final=False,
    ),
    _end(
        Act.TERMINATE,
        (Actor.ORGANISATION,),
        EventName.CONSENT_TERMINATED,
        AgreementState.TERMINATED,
        ConsentStatus.REVOKED,
        GrantState.REVOKED,
    ),
    _end(
        Act.EXCLUDE,
        (Actor.OPERATOR,),
        EventName.CONSENT_TERMINATED,
        AgreementState.TERMINATED,
        ConsentStatus.REVOKED,
        GrantState.REVOKED,
    ),
    _end(
        Act.INVALIDATE,
        (Actor.AUTHORITY, Actor.OPERATOR),
        EventName.CONSENT_INVALIDATED,
        AgreementState.INVALIDATED,
        ConsentStatus.INVALIDATED,
        GrantState.REVOKED,
    ),
    _end(
        Act.EXPIRE,
        (Actor.CLOCK,),
        EventName.CONSENT_EXPIRED,
        AgreementState.EXPIRED,
        ConsentStatus.EXPIRED,
        GrantState.EXPIRED,
    ),
    _end(
        Act.FULFIL,
        (Actor.CLOCK,),
        EventName.CONSENT_FULFILLED,
        AgreementState.FULFILLED,
        ConsentStatus.EXPIRED,
        GrantState.CONSUMED,
    ),
)
MOVES = {move.act: move for move in _TABLE}
OBJECTS = ("request", "agreement", "consent", "grant")


def follow(step: Step[S] | None, state: S | None) -> S:
    """Return the state after a step from `state`.

    Raises:
        ConflictError: the table has no such transition.
    """
    if step is not None and state in step.sources:
        return step.target
    if step is not None and state is not None and state in step.resting:
        return state
    raise ConflictError(f"nothing leads on from {state or 'the beginning'} in this way")


def transitions(name: str) -> Iterator[Transition]:
    """Yield every transition of one of `OBJECTS`."""
    for move in _TABLE:
        step: Step[StrEnum] | None = getattr(move, name)
        if step is None:
            continue
        ways = [(source, step.target) for source in step.sources]
        for source, target in [*ways, *((state, state) for state in step.resting)]:
            for actor in move.actors:
                yield Transition(
                    None if source is None else source.value,
                    move.act,
                    actor,
                    target.value,
                    move.event,
                )
