"""Both adapters pass the suite that any adapter must pass (CON-40)."""

from __future__ import annotations

import httpx
import pytest

from connector.conformance.suite import AdapterConformance
from connector.crm.memory import MemoryCrm
from connector.crm.tryton import PARTY, TrytonCrm
from connector.crm.tryton_http import TrytonHTTP
from tests.support.tryton import fresh_database, tryton_server


class TestMemory(AdapterConformance):
    values = {"name": "Aysel", "email": "a@mail.example", "addresses[home]": {"city": "Bakı"}}
    changed = {"email": "b@mail.example"}
    unknown_field = "nope"

    @pytest.fixture
    def crm(self):
        return MemoryCrm()

    def archive(self, crm, ref):
        crm.contacts[ref.id].is_archived = True


@pytest.mark.crm
class TestTryton(AdapterConformance):
    values = {
        "name": "Aysel",
        "contact_mechanisms[email]": "a@mail.example",
        "addresses[home]": {"city": "Bakı"},
    }
    changed = {"contact_mechanisms[email]": "b@mail.example"}
    unknown_field = "nope"

    @pytest.fixture(scope="class")
    def server(self):
        with tryton_server() as running:
            yield running

    @pytest.fixture
    def crm(self, server):
        database = fresh_database(server)
        with httpx.Client(timeout=60) as http:
            yield TrytonCrm(
                TrytonHTTP(
                    database.url,
                    token=database.token,
                    login=database.login,
                    password=database.password,
                    http=http,
                )
            )

    def archive(self, crm, ref):
        crm._tryton.update(PARTY, ref.id, {"active": False})
