"""No test speaks to another machine."""

from __future__ import annotations

import socket
from ipaddress import ip_address

import pytest


def forbid_other_machines(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make every connection of this process fail that does not stay on this machine."""
    connect, connect_ex = socket.socket.connect, socket.socket.connect_ex

    def guarded(self, address):
        _check(self, address)
        return connect(self, address)

    def guarded_ex(self, address):
        _check(self, address)
        return connect_ex(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)
    monkeypatch.setattr(socket.socket, "connect_ex", guarded_ex)


def _check(connecting: socket.socket, address: object) -> None:
    if connecting.family in {socket.AF_INET, socket.AF_INET6} and not _is_here(address[0]):
        raise RuntimeError(f"a test tried to reach {address[0]}")


def _is_here(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
