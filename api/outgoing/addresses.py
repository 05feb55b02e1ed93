"""Where requests may go: the guard against making this server ask its own network (SEC-S52, THR-8).

An organisation chooses the URL, so it is an attacker's: `https`, ports 443 and 8443, no user, no
fragment. Its name is resolved once, every address it leads to must be one that the whole Internet
may reach, and the connection goes to the address that was looked at, not to the name again
(DNS rebinding). Redirects are not followed, so no second address is ever asked for.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any
from urllib.parse import urlsplit

PORTS = (443, 8443)
URL_CHARACTERS = 500
# All that is given out for hosts; what is outside is reserved, or leads into IPv4 by some road.
_GLOBAL_UNICAST = IPv6Network("2000::/3")
# Special, and not known as such to every Python that must work: 6to4 relays, documentation.
_ALSO_SPECIAL = (ip_network("192.88.99.0/24"), ip_network("3fff::/20"))

Lookup = Callable[..., Sequence[Any]]  # as `socket.getaddrinfo`


class UrlRefusedError(ValueError):
    """Nothing is sent to such a URL; the message says why and quotes nothing."""


class AddressRefusedError(Exception):
    """The name leads, among others, to an address to which nothing is sent."""


@dataclass(frozen=True, slots=True)
class Target:
    """A URL that may be sent to."""

    host: str
    port: int
    path: str  # with the query
    tls: bool
    loopback: bool  # this machine, in a trial instance (P-37)

    @property
    def authority(self) -> str:
        """Return the `Host` header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.tls else 80) else f"{host}:{self.port}"


def parse(url: str, *, insecure_loopback: bool) -> Target:
    """Return the target of a URL.

    Raises:
        UrlRefusedError: nothing is sent to it.
    """
    if len(url) > URL_CHARACTERS or not url.isascii() or not url.isprintable() or " " in url:
        raise UrlRefusedError(f"at most {URL_CHARACTERS} printable ASCII characters")
    try:
        split = urlsplit(url)
        port = split.port
    except ValueError as exc:
        raise UrlRefusedError("not a URL") from exc
    host = (split.hostname or "").rstrip(".")
    if not host or "@" in split.netloc or split.fragment or "\\" in url or "%" in split.netloc:
        raise UrlRefusedError("scheme, host and path, nothing else")
    tls = split.scheme == "https"
    loopback = insecure_loopback and _is_loopback(host)
    path = (split.path or "/") + (f"?{split.query}" if split.query else "")
    port = port or (443 if tls else 80)
    if not loopback:
        if not tls:
            raise UrlRefusedError("https only")
        if port not in PORTS:
            raise UrlRefusedError("ports 443 and 8443 only")
        literal = _literal(host)
        if host == "localhost" or (literal is not None and not is_public(literal)):
            raise UrlRefusedError("an address of the public Internet only")
    elif split.scheme not in ("http", "https"):
        raise UrlRefusedError("http or https")
    return Target(host, port, path, tls, loopback)


def resolve(target: Target, *, lookup: Lookup = socket.getaddrinfo) -> str:
    """Return the one address to connect to.

    Raises:
        AddressRefusedError: the name leads to an address that is not public.
        OSError: the name leads nowhere.
    """
    try:
        found = lookup(target.host, target.port, type=socket.SOCK_STREAM)
    except UnicodeError as exc:
        raise OSError("no name of a host") from exc
    addresses = [ip_address(str(entry[4][0]).partition("%")[0]) for entry in found]
    if not addresses:
        raise OSError("no address")
    # All of them: a name with one good address and one bad is somebody's trick.
    for address in addresses:
        allowed = address.is_loopback if target.loopback else is_public(address)
        if not allowed:
            raise AddressRefusedError
    return str(addresses[0])


def is_public(address: IPv4Address | IPv6Address) -> bool:
    """Tell whether an address is one that the whole Internet may reach (RFC 6890).

    IPv6 addresses that carry an IPv4 address inside (mapped, 6to4, Teredo, NAT64) are not: where
    they lead is up to a gateway.
    """
    if any(address in network for network in _ALSO_SPECIAL):
        return False
    if isinstance(address, IPv6Address):
        carries = address.sixtofour is not None or address.teredo is not None
        return address in _GLOBAL_UNICAST and address.is_global and not carries
    return address.is_global and not address.is_multicast and not address.is_reserved


def _literal(host: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None


def _is_loopback(host: str) -> bool:
    literal = _literal(host)
    return host == "localhost" if literal is None else literal.is_loopback
