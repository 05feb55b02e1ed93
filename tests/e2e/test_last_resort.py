"""What nobody foresaw: a page for people, a problem for programs, and nothing quoted (SEC-S70)."""

import logging

import pytest

from tests.support.world import World


@pytest.fixture
def world(sqlite_store):
    world = World(sqlite_store)
    yield world
    world.close()


def break_(world, endpoint):
    def fail(**_arguments):
        raise RuntimeError("canary-5417")

    world.app.view_functions[endpoint] = fail


@pytest.mark.parametrize(
    ("endpoint", "path", "kind"),
    [
        ("web.help.show", "/help", "text/html"),
        ("health.alive", "/healthz", "application/problem+json"),
    ],
    ids=["page", "program"],
)
def test_an_unforeseen_error_is_answered_in_kind_and_quotes_nothing(
    world, caplog, endpoint, path, kind
):
    break_(world, endpoint)

    with caplog.at_level(logging.ERROR):
        answer = world.http.get(path)

    assert answer.status_code == 500
    assert answer.headers["Content-Type"].startswith(kind)
    assert "canary-5417" not in answer.text + caplog.text
    assert "RuntimeError" in caplog.text


def test_a_form_token_that_is_no_ascii_is_only_a_wrong_one(world):
    answer = world.http.post("/sign-in", data={"csrf": "ə", "login": "a", "passphrase": "b"})

    assert answer.status_code == 400
