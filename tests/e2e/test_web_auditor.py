"""The auditor's page: whoever holds an access takes evidence that verifies offline (AUD-8)."""

import json

import pytest

from api.worker import Worker
from consent.formats.report import Verdict
from consent.formats.trust import Trust
from consent.formats.verify import verify_bundle
from tests.support.auditing import engaged
from tests.support.stores import STORES
from tests.support.world import World


@pytest.fixture(params=STORES)
def world(request, stores):
    with stores.migrated(request.param) as store:
        world = World(store)
        yield world
        world.close()


@pytest.fixture
def access(world):
    return engaged(world).access


def integrate(world):
    worker = Worker(world.services)
    worker.turn()
    worker.stop()


def trust_of(world):
    receipts = world.services.receipts
    public = receipts.key.public_key().public_bytes_raw()
    return Trust((world.services.log_signer.verifier,), {receipts.kid: public})


def get_bundle(world, access):
    return world.http.get("/v1/audit/bundle", headers={"Authorization": f"Bearer {access}"})


def test_the_evidence_of_a_whole_story_verifies_against_keys_of_ones_own(world, access):
    person, organisation = world.person(), world.organisation()
    person.save("contact", email="aysel@poct.example")
    template = organisation.publish(required=["contact.email"])
    connected = world.connect(person, organisation, template)
    assert connected.get("/v1/records").status_code == 200
    connected.withdraw()
    assert connected.get("/v1/records").status_code == 403
    integrate(world)

    answer = get_bundle(world, access)

    report = verify_bundle(answer.content, trust_of(world))
    assert report.verdict is Verdict.VERIFIED, report.failures
    events = [entry["event"]["pub"]["event"] for entry in json.loads(answer.content)["entries"]]
    assert {"consent.given", "data.read", "consent.withdrawn", "data.read_denied"} <= set(events)


def test_the_evidence_holds_nobodys_name_and_no_value(world, access):
    person, organisation = world.person("aysel"), world.organisation()
    person.save("contact", email="canary@poct.example")
    connected = world.connect(
        person, organisation, organisation.publish(required=["contact.email"])
    )
    connected.get("/v1/records")
    integrate(world)

    content = get_bundle(world, access).content

    for secret in (b"canary", b"aysel", str(person.vault_id).encode()):
        assert secret not in content


@pytest.mark.parametrize(
    "given",
    ["", "pds_ad.short", "pds_ad." + "A" * 64 + ".00000000"],
    ids=["none", "malformed", "unknown"],
)
def test_without_an_auditors_access_there_is_no_evidence(world, given):
    integrate(world)

    answer = get_bundle(world, given)

    assert answer.status_code == 401
    assert answer.headers["Content-Type"] == "application/problem+json"


def test_taking_the_evidence_is_logged(world, access):
    integrate(world)
    get_bundle(world, access)
    integrate(world)

    entries = json.loads(get_bundle(world, access).content)["entries"]

    assert "evidence.exported" in [entry["event"]["pub"]["event"] for entry in entries]
