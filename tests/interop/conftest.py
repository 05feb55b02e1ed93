"""Our server as people run it, and the control, each with the same clients of other people."""

from __future__ import annotations

import secrets
from contextlib import contextmanager

import httpx
import pytest

from tests.interop import programs
from tests.interop.servers import ALGORITHMS, RAW_KEY, Control, Ours, register
from tests.support.oauth_client import Client, new_key, public_jwks
from tests.support.serving import free_port, served_world
from tests.support.stores import left_behind
from tests.support.world import CALLBACK


@pytest.fixture(scope="session")
def keys():
    """Give each foreign client its key."""
    return {name: new_key(algorithm, kid=name) for name, algorithm in ALGORITHMS.items()}


@pytest.fixture(scope="session")
def live(stores, tmp_path_factory):
    """Give a world whose issuer is our server on SQLite."""
    with served(stores, "sqlite", tmp_path_factory) as world:
        yield world


@contextmanager
def served(stores, kind, tmp_path_factory):
    """Give a world whose issuer is our server, in processes of its own, over HTTP.

    What all of this leaves in its store breaks no invariant (CM-13).
    """
    log = tmp_path_factory.mktemp("ours") / "server.log"
    with stores.migrated(kind) as store, served_world(store, log=log) as (world, server):
        server.start()
        yield world
        server.stop()
        assert left_behind(store.uow) == []


@pytest.fixture(scope="session")
def aysel(live):
    """Give a person with something to share."""
    return sharer(live)


def sharer(world):
    """Sign up a person with something to share."""
    person = world.person()
    person.save("contact", email="aysel@poct.example")
    return person


@pytest.fixture(scope="session")
def shop(live):
    """Give an organisation, whose templates are asked for."""
    return live.organisation()


@pytest.fixture(scope="session")
def http():
    """Give connections to the server."""
    with httpx.Client(timeout=30) as http:
        yield http


@pytest.fixture(scope="session")
def client(live, shop, http):
    """Give a client of the organisation that speaks HTTP; its key could sign RS256 as well."""
    client_id = register(live, shop.id, "Raw", RAW_KEY)
    return Client.of_metadata(http, client_id, live.issuer, RAW_KEY)


@pytest.fixture(scope="session")
def ours(live, aysel, shop, keys):
    """Give our server."""
    return Ours(live, aysel, shop, keys)


@pytest.fixture(scope="session")
def ours_on_postgresql(stores, keys, tmp_path_factory):
    """Give our server on PostgreSQL; mark the test `postgresql`."""
    with served(stores, "postgresql", tmp_path_factory) as world:
        yield Ours(world, sharer(world), world.organisation(), keys)


@pytest.fixture(scope="session")
def control(keys, tmp_path_factory):
    """Give the control, which serves."""
    issuer = f"http://127.0.0.1:{free_port()}"
    registered = [
        {"client_id": name, "redirect_uris": [CALLBACK], "jwks": public_jwks(key)}
        for name, key in keys.items()
    ]
    errors = tmp_path_factory.mktemp("control") / "errors"
    token = secrets.token_urlsafe()
    start = {"issuer": issuer, "clients": registered, "initialAccessToken": token}
    with programs.running("oidc-provider", start, errors=errors) as process:
        assert process.stdout.readline() == "serving\n", errors.read_text("utf-8")
        yield Control(issuer, token, keys)
