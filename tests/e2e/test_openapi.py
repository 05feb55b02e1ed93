"""The API against its own description: whatever is sent, no 5xx, and no answer that is not in it.

Schemathesis makes the requests from `/openapi.json`, good ones and bad ones; the tests' client adds
token and proof. `PDS_MUTATIONS` says how many; see `tests.support.mutations`.
"""

from __future__ import annotations

from contextlib import ExitStack, nullcontext, suppress
from dataclasses import dataclass

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode

from api.problems import CATALOGUE
from tests.support.mutations import MUTATIONS
from tests.support.worlds import TickingClock, world_on

EMAIL = "contact.email"
EXAMPLES = max(3, MUTATIONS // 600)  # of good requests to an operation, and as many of bad ones
OWN = {"authorization", "dpop", "host", "cookie", "content-length"}
sending = settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@dataclass
class Scene:
    """A person's connection, and what its organisation reaches."""

    connected: object
    operations: list

    def send(self, case):
        """Send a request that Schemathesis made, with token and proof."""
        shop = self.connected.organisation
        is_grant = case.operation.definition.raw["security"] == [{"grantToken": []}]
        token = self.connected.access_token if is_grant else shop.organisation_token()
        made = requests.Request(**case.as_transport_kwargs(base_url=shop.world.issuer)).prepare()
        url = made.url.removeprefix(shop.world.issuer)
        htu = made.url.partition("?")[0]
        headers = {name: text for name, text in made.headers.items() if name.lower() not in OWN}
        headers["Authorization"] = f"DPoP {token}"
        headers["DPoP"] = shop.client.proof(made.method, htu, access_token=token)
        http = shop.world.app.test_client()
        return http.open(url, method=made.method, data=made.body or b"", headers=headers)


@pytest.fixture(scope="module")
def scene(stores):
    with ExitStack() as stack:
        store = stack.enter_context(stores.migrated("sqlite"))
        world = stack.enter_context(world_on(store, clock=TickingClock()))
        aysel, shop = world.person("aysel"), world.organisation("Shop")
        aysel.save("contact", email="a@example.com")
        connected = world.connect(aysel, shop, shop.publish(required=[EMAIL]))
        described = schemathesis.openapi.from_dict(world.http.get("/openapi.json").json())
        yield Scene(connected, [each.ok() for each in described.get_all_operations()])


def check(scene, operation, case):
    """Send a request, and hold the answer against the description: named, or a problem of ours."""
    answer = scene.send(case)
    if str(answer.status_code) in set(operation.definition.raw["responses"]) - {"422"}:
        return
    problem = answer.get_json(force=True, silent=True) or {}
    told = (operation.label, case, answer.status_code, answer.text[:500])
    assert answer.mimetype == "application/problem+json", told
    code = problem["type"].rpartition("/")[2]
    assert CATALOGUE[code][0] == problem["status"] == answer.status_code < 500, told


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
def test_every_operation_answers_as_it_is_described(scene, mode):
    assert len(scene.operations) > 20
    for operation in scene.operations:

        @sending
        @given(case=operation.as_strategy(generation_mode=mode))
        def run(case):
            check(scene, operation, case)  # noqa: B023 - run before the next one is made

        # Some operations take nothing that could be wrong.
        with suppress(Unsatisfiable) if mode is GenerationMode.NEGATIVE else nullcontext():
            run()
