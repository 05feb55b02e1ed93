"""The table of acts: what moves what, and that nothing else does (CM-6, CM-12, CM-13)."""

from __future__ import annotations

from itertools import product

import pytest

from consent.formats.meaning import ENDS
from consent.formats.receipt_facts import ReceiptKind
from consent.formats.receipt_shape import STATUS_TERMS
from consent.lifecycle import MOVES, OBJECTS, Act, follow, transitions
from consent.vocabulary import (
    LIVE_GRANT_STATES,
    Actor,
    AgreementState,
    ConsentStatus,
    GrantState,
    RequestState,
)
from pds.errors import ConflictError

STATES = {
    "request": RequestState,
    "agreement": AgreementState,
    "consent": ConsentStatus,
    "grant": GrantState,
}
LIVES = {
    "request": {RequestState.SEEN, RequestState.DEFERRED},
    "agreement": {AgreementState.ACTIVE, AgreementState.SUSPENDED},
    "consent": {ConsentStatus.GIVEN, ConsentStatus.RENEWED, ConsentStatus.PAUSED},
    "grant": set(LIVE_GRANT_STATES),
}
AMENDMENTS = {Act.AMEND, Act.AMEND_PART, Act.RENEW, Act.RENEW_PART, Act.NARROW, Act.EXTEND}
ACTS = pytest.mark.parametrize("act", Act)


@pytest.mark.parametrize("name", OBJECTS)
def test_every_state_is_reached_and_no_terminal_one_is_left(name):
    """CM-6."""
    found = list(transitions(name))

    assert {each.target for each in found} == {state.value for state in STATES[name]}
    assert {each.source for each in found} - {None} == {state.value for state in LIVES[name]}


@pytest.mark.parametrize("name", OBJECTS)
def test_what_an_actor_does_leads_to_one_state(name):
    """The table is a function of state, act and actor."""
    found = list(transitions(name))

    assert len({(each.source, each.act, each.actor) for each in found}) == len(found)


@ACTS
def test_the_objects_of_a_standing_agreement_move_together(act):
    """CM-9: no act ends one of agreement, consent and grant and leaves another alive."""
    move = MOVES[act]
    reached = [
        getattr(move, name).target in LIVES[name]
        for name in ("agreement", "consent", "grant")
        if getattr(move, name) is not None and act not in {Act.REFUSE, Act.DEFER}
    ]

    assert len(reached) in {0, 3}
    assert len(set(reached)) <= 1


@ACTS
def test_each_end_is_an_end_to_the_verifier_and_owes_deletion_unless_replaced(act):
    """CM-7, LOG-26; of a replacement, the new agreement tells (P-29)."""
    move = MOVES[act]
    is_end = move.agreement is not None and move.agreement.target.is_terminal

    assert (move.event.value in ENDS) == is_end
    assert move.owes_deletion == (is_end and act is not Act.REPLACE)
    assert (move.news is not None) == (
        move.owes_deletion or act in {Act.PAUSE, Act.RESUME, *AMENDMENTS}
    )


@ACTS
def test_each_act_but_showing_has_a_receipt_of_its_status(act):
    """CM-1, CUX-24: the receipt says of consent and contract what the table says."""
    move = MOVES[act]
    if act is Act.SHOW:
        assert move.event.removeprefix("consent.") not in set(ReceiptKind)
        return
    status, contract = STATUS_TERMS[ReceiptKind(move.event.removeprefix("consent."))]

    assert status == move.consent.target
    if act in AMENDMENTS:
        assert contract in {"dpv:ContractAmended", "dpv:ContractRenewed"}
    elif move.agreement is not None:
        assert contract == move.agreement.target.dpv_contract_status


@pytest.mark.parametrize(("act", "actor"), list(product(Act, Actor)))
def test_nobody_does_what_is_anothers(act, actor):
    """CM-12."""
    if actor in MOVES[act].actors:
        assert MOVES[act].is_by(actor) is MOVES[act]
        return
    with pytest.raises(ConflictError):
        MOVES[act].is_by(actor)


@pytest.mark.parametrize("act", sorted(AMENDMENTS))
def test_an_amendment_ends_no_pause_and_revives_nothing(act):
    """CM-6, P-6: what is paused stays paused, and what has ended is not amended."""
    move = MOVES[act]

    assert follow(move.agreement, AgreementState.SUSPENDED) is AgreementState.SUSPENDED
    assert follow(move.consent, ConsentStatus.PAUSED) is ConsentStatus.PAUSED
    assert follow(move.grant, GrantState.PAUSED) is GrantState.PAUSED
    for state in [each for each in AgreementState if each.is_terminal]:
        with pytest.raises(ConflictError):
            follow(move.agreement, state)


def test_nothing_leads_on_from_where_the_table_has_no_line():
    move = MOVES[Act.RESUME]

    assert follow(move.agreement, AgreementState.SUSPENDED) is AgreementState.ACTIVE
    for state in (None, AgreementState.ACTIVE, AgreementState.WITHDRAWN):
        with pytest.raises(ConflictError):
            follow(move.agreement, state)
    with pytest.raises(ConflictError):
        follow(MOVES[Act.SHOW].agreement, AgreementState.ACTIVE)
