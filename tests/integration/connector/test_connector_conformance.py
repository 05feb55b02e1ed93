"""Both adapters pass the suite that any adapter must pass (CON-40)."""

from __future__ import annotations

from typing import ClassVar

import httpx
import pytest

from connector.conformance.suite import AdapterConformance
from connector.crm.memory import MemoryCrm
from connector.crm.tryton import PARTY, TrytonCrm
from connector.crm.tryton_http import TrytonHTTP


class TestMemory(AdapterConformance):
    values: ClassVar = {
        "name": "Aysel",
        "email": "a@mail.example",
        "addresses[home]": {"city": "Bakı"},
    }
    changed: ClassVar = {"email": "b@mail.example"}
    unknown_field = "nope"

    @pytest.fixture
    def crm(self):
        return MemoryCrm()

    def archive(self, crm, ref):
        crm.contacts[ref.id].is_archived = True


@pytest.mark.crm
class TestTryton(AdapterConformance):
    values: ClassVar = {
        "name": "Aysel",
        "contact_mechanisms[email]": "a@mail.example",
        "addresses[home]": {"city": "Bakı"},
    }
    changed: ClassVar = {"contact_mechanisms[email]": "b@mail.example"}
    unknown_field = "nope"

    @pytest.fixture
    def crm(self, database):
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
