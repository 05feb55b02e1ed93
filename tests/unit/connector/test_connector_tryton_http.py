"""Tryton's answers, told apart (CON-10, CON-20); played back where a healthy server is silent."""

from __future__ import annotations

import httpx
import pytest
import stamina

from connector.crm.base import CrmRef, ErasePlan, Rejected, Stale, Upsert
from connector.crm.tryton import PARTY, TrytonCrm, address_mark, mechanism_mark
from connector.crm.tryton_http import TrytonAbsentError, TrytonHTTP, _BusyError, _pause
from connector.errors import CrmRefusedError, CrmUnauthorizedError, CrmUnavailableError

URL = "http://127.0.0.1:1/crm"


@pytest.fixture(autouse=True)
def _no_pauses():
    with stamina.set_testing(True, attempts=3):
        yield


class Played:
    """Answers from a list; an exception in it is raised."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.requests = []

    def __call__(self, request):
        self.requests.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def http(self, **secrets):
        client = httpx.Client(transport=httpx.MockTransport(self))
        known = {"login": "connector", "password": "p"} | secrets
        return TrytonHTTP(URL, token="key", **known, http=client)


def status(code, **rest):
    return httpx.Response(code, **rest)


@pytest.mark.parametrize("code", [429, 502, 503, 504])
def test_a_busy_server_is_asked_again(code):
    played = Played(status(code), status(200, json=[]))

    assert played.http().search(PARTY, [], ["name"]) == []
    assert len(played.requests) == 2


@pytest.mark.parametrize(
    "fault", [httpx.ConnectError("x"), httpx.ReadTimeout("x")], ids=["down", "slow"]
)
def test_a_server_out_of_reach_is_given_up_after_three_attempts(fault):
    played = Played(fault)

    with pytest.raises(CrmUnavailableError):
        played.http().search(PARTY, [], ["name"])
    assert len(played.requests) == 3


def test_the_servers_own_wish_decides_the_pause():
    assert _pause(_BusyError(9.0)) == 9.0
    assert _pause(_BusyError(None)) is True
    assert _pause(CrmRefusedError()) is False


def test_a_500_is_not_repeated_and_not_quoted_con_10():
    played = Played(status(500, text="Aysel Məmmədova"))

    with pytest.raises(CrmRefusedError) as caught:
        played.http().search(PARTY, [], ["name"])

    assert "Aysel" not in str(caught.value)
    assert len(played.requests) == 1


def test_a_500_for_one_row_rejects_that_row_alone():
    crm = TrytonCrm(Played(status(500)).http())

    assert crm.upsert([Upsert(PARTY, "K", None, {"name": "A"})]) == [
        Rejected("", "the CRM failed on this row")
    ]


def test_a_row_whose_party_is_gone_is_stale():
    played = Played(status(200, json=[]))

    assert TrytonCrm(played.http()).upsert(
        [Upsert(PARTY, "K", CrmRef(PARTY, "7"), {"name": "A"})]
    ) == [Stale()]


@pytest.mark.parametrize("code", [401, 403])
def test_credentials_that_are_not_taken_stop_the_adapter_con_35(code):
    with pytest.raises(CrmUnauthorizedError):
        Played(status(code)).http().search(PARTY, [], ["name"])


def test_without_a_password_there_is_no_erase_wizard():
    with pytest.raises(CrmUnauthorizedError, match="login and password"):
        Played(status(200, json={})).http(password=None).call("wizard.party.erase.create")


def test_a_login_that_is_not_taken_is_told():
    with pytest.raises(CrmUnauthorizedError, match="login and password"):
        Played(status(200, json={"error": ["x"]})).http().call("wizard.party.erase.create")


def test_an_answer_that_is_no_json_is_refused():
    with pytest.raises(CrmRefusedError, match="no JSON"):
        Played(status(200, text="<html>")).http().search(PARTY, [], ["name"])


def test_an_absent_record_is_told_from_a_refusal():
    with pytest.raises(TrytonAbsentError):
        Played(status(404)).http().update(PARTY, "7", {"name": "A"})


def test_erasing_what_is_not_there_sends_no_write():
    played = Played(status(200, json=[]))
    plan = ErasePlan("erase", is_whole=True, fields=())

    TrytonCrm(played.http()).erase(CrmRef(PARTY, "7"), plan)

    assert [request.method for request in played.requests] == ["GET"]


def test_every_request_asks_for_archived_records_and_english_con_9():
    played = Played(status(200, json=[]))

    played.http().search(PARTY, [], ["name"])

    (request,) = played.requests
    assert request.headers["Accept-Language"] == "en"
    assert "X-Tryton-Context" in request.headers


def test_marks_are_stable_and_apart():
    assert mechanism_mark("email") == "pds:email"
    assert address_mark("home") == address_mark("home") != address_mark("work")
    assert address_mark("home") >= 1_000_000
