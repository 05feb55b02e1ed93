"""Words that go out: each exists in DPV 2.3, and each reason can be said (CM-1, CM-19, P-38)."""

from __future__ import annotations

import pytest

from api.problems import CATALOGUE as PROBLEMS
from consent.formats import dpv_terms
from consent.vocabulary import (
    LIVE_GRANT_STATES,
    AgreementState,
    ConsentStatus,
    DenialReason,
    EventName,
    GrantState,
    LawfulBasis,
    Purpose,
)
from pds.catalogue import CATALOGUE
from tests.support.vectors import load

VECTORS = load("dpv-2.3-terms")


def dpv(term):
    prefix, _, name = term.partition(":")
    return name in VECTORS[prefix]


@pytest.mark.parametrize("purpose", Purpose)
def test_each_purpose_is_a_dpv_purpose(purpose):
    """CM-1."""
    assert dpv(purpose.dpv_term)
    assert purpose.dpv_term.removeprefix("dpv:") in dpv_terms.PURPOSES


@pytest.mark.parametrize("basis", LawfulBasis)
def test_each_lawful_basis_is_a_dpv_legal_basis(basis):
    assert dpv(basis.dpv_term)
    assert basis.dpv_term.removeprefix("dpv:") in dpv_terms.LEGAL_BASES


@pytest.mark.parametrize("status", ConsentStatus)
def test_each_consent_status_is_a_dpv_status(status):
    """CM-1: `ConsentRevoked`; there is no `ConsentTerminated`."""
    assert dpv(status.value)
    assert status.value.removeprefix("dpv:") in dpv_terms.STATUSES


@pytest.mark.parametrize("state", AgreementState)
def test_each_agreement_state_is_a_dpv_contract_status(state):
    assert dpv(state.dpv_contract_status)


def test_each_kind_of_personal_data_is_a_dpv_type():
    """CM-19: what receipts say of each attribute of the catalogue."""
    kinds = {
        attribute.dpv_type
        for collection in CATALOGUE.collections.values()
        for attribute in collection.attributes.values()
    }

    assert [kind for kind in sorted(kinds) if not dpv(kind)] == []


def test_terminal_states_are_all_but_two():
    """CM-6."""
    living = {state for state in AgreementState if not state.is_terminal}

    assert living == {AgreementState.ACTIVE, AgreementState.SUSPENDED}
    assert {GrantState.ACTIVE, GrantState.PAUSED} == {*LIVE_GRANT_STATES}


@pytest.mark.parametrize("reason", DenialReason)
def test_each_denial_has_a_problem_document(reason):
    """P-38: codes are wire-stable, and each says what to do."""
    status, title, what_to_do = PROBLEMS[reason.value]

    assert 400 <= status < 500
    assert title
    assert what_to_do


@pytest.mark.parametrize("name", EventName)
def test_event_names_are_dotted_and_short(name):
    """P-38: they fit their column."""
    assert name.value.count(".") == 1
    assert len(name.value) <= 40
