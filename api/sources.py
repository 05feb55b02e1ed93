"""Where a request comes from: the peer, or whom a trusted proxy names (SEC-S53).

`X-Forwarded-For` is the sender's word. It is read only if the peer is one of
`server.trusted_proxies`, from its end, over as many of them as stand there: what is before that
came with the request.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from flask import request

from api.wiring import wiring

_IPV6_PREFIX = 64  # one household or machine

Address = IPv4Address | IPv6Address


def address() -> Address | None:
    """Return the address that a request comes from; None if it cannot be told."""
    trusted = [ip_network(each) for each in wiring().settings.server.proxies]
    hops = [request.remote_addr or "", *reversed(_forwarded())]
    for hop in hops:
        found = _parse(hop)
        if found is None or not any(found in network for network in trusted):
            return found
    return None


def source() -> str | None:
    """Return what attempts are counted under: an IPv4 address, or an IPv6 /64.

    None for what is no public address: that is a proxy which is not named in the settings, or the
    machine itself, and everybody behind it would be counted as one.
    """
    found = address()
    if found is None or not found.is_global:
        return None
    if isinstance(found, IPv4Address):
        return str(found)
    return str(ip_network((found, _IPV6_PREFIX), strict=False))


def _forwarded() -> list[str]:
    return [
        hop.strip()
        for line in request.headers.getlist("X-Forwarded-For")
        for hop in line.split(",")
    ]


def _parse(text: str) -> Address | None:
    try:
        found = ip_address(text)
    except ValueError:
        return None
    return getattr(found, "ipv4_mapped", None) or found
