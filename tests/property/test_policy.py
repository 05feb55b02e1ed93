"""May this grant release this, now? (D8, CM-2, CM-8, P-9, P-10)"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consent.policy import Facts, Terms, decide, standing_denial
from consent.vocabulary import Action, AgreementState, DenialReason, GrantState, Standing

unhurried = settings(deadline=None)
START = datetime(2026, 3, 1, 12, tzinfo=UTC)
END = START + timedelta(days=30)
TERMS = Terms(
    agreement_id="a",
    agreement_version=1,
    agreement_sha256="0" * 64,
    purpose="customer_management",
    actions=frozenset({Action.READ}),
    attributes=frozenset({"contact.email", "profile.given_name"}),
    denied=frozenset({"contact.phone"}),
    starts_at=START,
    expires_at=END,
    fetches_per_day=10,
)
FACTS = Facts(
    agreement_state=AgreementState.ACTIVE,
    grant_state=GrantState.ACTIVE,
    standing=Standing.GOOD,
    vault_is_active=True,
    expires_at=END,
    fetches_today=0,
)
NOW = START + timedelta(days=1)


def decided(terms=TERMS, facts=FACTS, *, action=Action.READ, collections=("contact",), now=NOW):
    return decide(terms, facts, action=action, collections=collections, now=now)


def test_terms_beyond_the_limits_of_their_purpose_release_nothing():
    """LEAD-6: the ceilings hold at every read."""
    beyond = replace(TERMS, exceeds="purpose.frequency")

    assert decided(beyond) is DenialReason.PURPOSE_LIMIT
    assert decided(beyond, collections=()) is DenialReason.PURPOSE_LIMIT


def test_what_was_agreed_is_permitted():
    assert decided() is None
    assert decided(collections=TERMS.collections) is None
    assert TERMS.collections == ("contact", "profile")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"vault_is_active": False}, DenialReason.VAULT_DELETED),
        ({"standing": Standing.SUSPENDED}, DenialReason.STANDING),
        ({"standing": Standing.REMOVED}, DenialReason.STANDING),
        ({"agreement_state": AgreementState.SUSPENDED}, DenialReason.PAUSED),
        ({"agreement_state": AgreementState.WITHDRAWN}, DenialReason.WITHDRAWN),
        ({"agreement_state": AgreementState.TERMINATED}, DenialReason.TERMINATED),
        ({"agreement_state": AgreementState.EXPIRED}, DenialReason.EXPIRED),
        ({"agreement_state": AgreementState.FULFILLED}, DenialReason.FULFILLED),
        ({"agreement_state": AgreementState.INVALIDATED}, DenialReason.INVALIDATED),
        ({"grant_state": GrantState.PAUSED}, DenialReason.PAUSED),
        ({"grant_state": GrantState.REVOKED}, DenialReason.WITHDRAWN),
        ({"grant_state": GrantState.EXPIRED}, DenialReason.EXPIRED),
        ({"grant_state": GrantState.CONSUMED}, DenialReason.FULFILLED),
        ({"expires_at": NOW}, DenialReason.EXPIRED),
        ({"fetches_today": 10}, DenialReason.LIMIT),
        ({"fetches_today": 11}, DenialReason.LIMIT),
    ],
    ids=str,
)
def test_each_fact_alone_denies_with_its_own_reason(change, reason):
    """CM-8: every state but the one is a denial."""
    assert decided(facts=replace(FACTS, **change)) is reason


@pytest.mark.parametrize("state", AgreementState)
@pytest.mark.parametrize("grant", GrantState)
@pytest.mark.parametrize("standing", Standing)
def test_only_active_active_and_good_permits(state, grant, standing):
    """CM-8, CM-14: the whole table; a state that is added later denies until it is listed."""
    facts = replace(FACTS, agreement_state=state, grant_state=grant, standing=standing)
    live = (AgreementState.ACTIVE, GrantState.ACTIVE, Standing.GOOD)

    assert (decided(facts=facts) is None) == ((state, grant, standing) == live)


@pytest.mark.parametrize(
    ("now", "reason"),
    [
        (START - timedelta(microseconds=1), DenialReason.PENDING),
        (START, None),
        (END - timedelta(microseconds=1), None),
        (END, DenialReason.EXPIRED),
    ],
    ids=["before", "first", "last", "end"],
)
def test_the_window_has_its_start_and_not_its_end(now, reason):
    assert decided(now=now) is reason


@pytest.mark.parametrize("later", [timedelta(days=1), timedelta(days=9_999)])
def test_a_later_end_in_the_rows_prolongs_nothing(later):
    """P-9."""
    facts = replace(FACTS, expires_at=END + later)

    assert decided(facts=facts, now=END) is DenialReason.EXPIRED


@pytest.mark.parametrize(
    ("action", "collections"),
    [
        (Action.WRITE, ("contact",)),
        (Action.READ, ("identity",)),
        (Action.READ, ("contact", "identity")),
        (Action.READ, ("",)),
        (Action.READ, ("contact.email",)),
    ],
)
def test_what_was_not_agreed_is_denied(action, collections):
    """TAK-12's other half: scope is enforced by code as well."""
    assert decided(action=action, collections=collections) is DenialReason.NOT_AGREED


def test_a_follow_up_page_needs_no_fetch_of_its_own():
    """P-10."""
    facts = replace(FACTS, fetches_today=10)

    assert decided(facts=facts.with_counted_fetch()) is None
    assert decided(facts=facts) is DenialReason.LIMIT


def test_an_end_is_told_before_a_limit():
    """The first rule that fails is the answer: an ended consent is not 'come back tomorrow'."""
    facts = replace(FACTS, fetches_today=10, agreement_state=AgreementState.WITHDRAWN)

    assert decided(facts=facts) is DenialReason.WITHDRAWN


instants = st.builds(
    lambda days, seconds: START + timedelta(days=days, seconds=seconds),
    st.integers(-28, 60),
    st.integers(0, 86_400),
)
facts_ = st.builds(
    Facts,
    agreement_state=st.sampled_from(AgreementState),
    grant_state=st.sampled_from(GrantState),
    standing=st.sampled_from(Standing),
    vault_is_active=st.booleans(),
    expires_at=instants,
    fetches_today=st.integers(0, 20),
    fetch_is_counted=st.booleans(),
)
names = st.sampled_from(["contact.email", "contact.phone", "profile.given_name", "identity.tax_id"])
terms_ = st.builds(
    replace,
    st.just(TERMS),
    actions=st.frozensets(st.sampled_from(Action)),
    attributes=st.frozensets(names),
    starts_at=instants,
    expires_at=instants,
    fetches_per_day=st.integers(1, 12),
)
asks = st.fixed_dictionaries(
    {
        "action": st.sampled_from(Action),
        "collections": st.lists(
            st.sampled_from(["contact", "profile", "identity"]), min_size=1, unique=True
        ),
        "now": instants,
    }
)


@unhurried
@given(terms_, facts_, asks)
def test_no_facts_widen_the_terms(terms, facts, ask):
    """P-9: whatever the rows say, only what the sealed terms hold is ever permitted."""
    if decide(terms, facts, **ask) is None:
        assert ask["action"] in terms.actions
        assert set(ask["collections"]) <= {name.partition(".")[0] for name in terms.attributes}
        assert terms.starts_at <= ask["now"] < terms.expires_at
        assert facts.fetch_is_counted or facts.fetches_today < terms.fetches_per_day


@unhurried
@given(terms_, facts_, asks, st.data())
def test_narrowing_any_facts_or_terms_never_turns_a_no_into_a_yes(terms, facts, ask, data):
    """P-9, P-13."""
    narrower = replace(
        facts,
        expires_at=facts.expires_at - timedelta(days=data.draw(st.integers(0, 60))),
        fetches_today=facts.fetches_today + data.draw(st.integers(0, 20)),
        vault_is_active=facts.vault_is_active and data.draw(st.booleans()),
        fetch_is_counted=facts.fetch_is_counted and data.draw(st.booleans()),
        standing=data.draw(st.sampled_from([facts.standing, Standing.SUSPENDED])),
        agreement_state=data.draw(
            st.sampled_from([facts.agreement_state, AgreementState.WITHDRAWN])
        ),
        grant_state=data.draw(st.sampled_from([facts.grant_state, GrantState.REVOKED])),
    )
    kept = frozenset(name for name in terms.attributes if data.draw(st.booleans()))
    fewer = replace(terms, attributes=kept, expires_at=min(terms.expires_at, END))

    if decide(terms, facts, **ask) is not None:
        assert decide(terms, narrower, **ask) is not None
        assert decide(fewer, narrower, **ask) is not None
    if standing_denial(facts, now=ask["now"]) is not None:
        assert decide(terms, facts, **ask) == standing_denial(facts, now=ask["now"])


@unhurried
@given(terms_, facts_, asks, st.lists(st.sampled_from(["contact", "profile", "identity"])))
def test_asking_for_more_never_helps(terms, facts, ask, more):
    wider = ask | {"collections": [*ask["collections"], *more]}

    if decide(terms, facts, **ask) is not None:
        assert decide(terms, facts, **wider) is not None
