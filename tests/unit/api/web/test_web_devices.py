"""Names of devices come from lists of ours, never from what a browser sent."""

from __future__ import annotations

import pytest

from api.web import devices

WEBKIT = "AppleWebKit/537.36 (KHTML, like Gecko)"


@pytest.mark.parametrize(
    ("user_agent", "name"),
    [
        (
            "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
            "Firefox, Linux",
        ),
        (f"Mozilla/5.0 (Linux; Android 10; K) {WEBKIT} Chrome/138.0 Mobile", "Chrome, Android"),
        (
            f"Mozilla/5.0 (Windows NT 10.0) {WEBKIT} Chrome/138.0 Safari/537.36 Edg/138.0",
            "Edge, Windows",
        ),
        ("Mozilla/5.0 (Macintosh) AppleWebKit Version/18.5 Safari/605.1.15", "Safari, macOS"),
        ("curl/8.5.0", ""),
        ("", ""),
    ],
    ids=["firefox", "android", "edge", "safari", "curl", "nothing"],
)
def test_a_device_is_named_by_browser_and_system(user_agent, name):
    assert devices.name(user_agent) == name
