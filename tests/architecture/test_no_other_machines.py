"""The test run itself: nothing leaves this machine."""

from __future__ import annotations

import socket

import pytest


@pytest.mark.parametrize("host", ["192.0.2.1", "2001:db8::1", "example.com"])
def test_a_test_cannot_reach_another_machine(host):
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as connecting, pytest.raises(RuntimeError, match="tried to reach"):
        connecting.connect((host, 80))
