"""The guard of outgoing requests (SEC-S52, ORG-19)."""

from __future__ import annotations

import socket
from ipaddress import ip_address

import pytest

from api.outgoing.addresses import (
    AddressRefusedError,
    UrlRefusedError,
    is_public,
    parse,
    resolve,
)

# One of each block of the IANA special-purpose registries, and addresses that carry another.
NOT_PUBLIC = [
    "0.0.0.1", "10.1.2.3", "100.64.0.1", "127.0.0.1", "127.8.8.8", "169.254.169.254", "172.16.0.1",
    "172.31.255.255", "192.0.0.1", "192.0.2.1", "192.88.99.1", "192.168.0.1", "198.18.0.1",
    "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255",
    "::", "::1", "::ffff:127.0.0.1", "::ffff:8.8.8.8", "::127.0.0.1", "64:ff9b::7f00:1",
    "64:ff9b:1::1", "100::1", "2001::1", "2001:db8::1", "2002:7f00:1::1", "2002:808:808::1",
    "3fff::1", "5f00::1", "fc00::1", "fd12:3456::1", "fe80::1", "fec0::1", "ff02::1",
]  # fmt: skip
PUBLIC = ["8.8.8.8", "172.32.0.1", "100.63.255.255", "2606:4700:4700::1111", "2a00:1450::1"]


def answers(*addresses):
    """Return a lookup that finds these."""

    def lookup(_host, port, **_):
        return [
            (
                socket.AF_INET6 if ":" in one else socket.AF_INET,
                socket.SOCK_STREAM,
                6,
                "",
                (one, port),
            )
            for one in addresses
        ]

    return lookup


@pytest.mark.parametrize("text", NOT_PUBLIC)
def test_special_addresses_are_not_sent_to_sec_s52(text):
    assert not is_public(ip_address(text))


@pytest.mark.parametrize("text", PUBLIC)
def test_addresses_of_the_internet_are(text):
    assert is_public(ip_address(text))


@pytest.mark.parametrize(
    "url",
    [
        "http://receiver.example/",
        "ftp://receiver.example/",
        "gopher://receiver.example:443/",
        "file:///etc/passwd",
        "//receiver.example/",
        "https:///hook",
        "https://receiver.example:22/",
        "https://receiver.example:80/",
        "https://receiver.example:99999/",
        "https://user:word@receiver.example/",
        "https://receiver.example@169.254.169.254/",
        "https://receiver.example/#fragment",
        "https://receiver.example\\@10.0.0.1/",
        "https://127.0.0.1/",
        "https://[::1]/",
        "https://[::ffff:10.0.0.1]/",
        "https://[fe80::1%25eth0]/",
        "https://10.0.0.1/",
        "https://169.254.169.254/latest/meta-data",
        "https://localhost/",
        "https://localhost./",
        "https://LOCALHOST/",
        "https://receiver.example/a\r\nX-Injected: 1",
        "https://receiver.example/a b",
        "https://qəbul.example/",
        "https://receiver.example/" + "a" * 500,
        "",
    ],
)
@pytest.mark.parametrize("insecure_loopback", [False, True])
def test_urls_that_no_organisation_may_name_are_refused(url, insecure_loopback):
    if insecure_loopback and ("127.0.0.1" in url or "[::1]" in url or "localhost" in url.lower()):
        return  # a trial instance speaks to this machine: below

    with pytest.raises(UrlRefusedError):
        parse(url, insecure_loopback=insecure_loopback)


def test_an_ordinary_url_is_taken_apart():
    target = parse("https://receiver.example:8443/hook?for=pds", insecure_loopback=False)

    assert (target.host, target.port, target.tls) == ("receiver.example", 8443, True)
    assert (target.path, target.authority) == ("/hook?for=pds", "receiver.example:8443")


def test_plain_http_goes_to_this_machine_only_and_only_in_a_trial():
    """P-37."""
    target = parse("http://127.0.0.1:9000/hook", insecure_loopback=True)

    assert (target.loopback, target.tls, target.authority) == (True, False, "127.0.0.1:9000")
    with pytest.raises(UrlRefusedError):
        parse("http://127.0.0.1:9000/hook", insecure_loopback=False)
    with pytest.raises(UrlRefusedError):
        parse("http://10.0.0.1:9000/hook", insecure_loopback=True)
    with pytest.raises(UrlRefusedError):
        parse("ftp://127.0.0.1/hook", insecure_loopback=True)


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_a_name_that_leads_into_the_own_network_is_refused(address):
    target = parse("https://receiver.example/", insecure_loopback=False)

    with pytest.raises(AddressRefusedError):
        resolve(target, lookup=answers(address))


def test_one_bad_address_among_good_ones_is_enough():
    target = parse("https://receiver.example/", insecure_loopback=False)

    with pytest.raises(AddressRefusedError):
        resolve(target, lookup=answers("8.8.8.8", "10.0.0.1"))


def test_odd_spellings_of_an_address_are_what_the_resolver_makes_of_them():
    """`2130706433` and `0x7f.1` are 127.0.0.1 to a resolver."""
    for host in ("2130706433", "0x7f.1", "127.1", "0177.0.0.1"):
        target = parse(f"https://{host}/", insecure_loopback=False)
        with pytest.raises((AddressRefusedError, OSError)):
            resolve(target)


def test_this_machines_name_leads_nowhere_else_in_a_trial():
    target = parse("http://localhost:9000/", insecure_loopback=True)

    with pytest.raises(AddressRefusedError):
        resolve(target, lookup=answers("8.8.8.8"))


@pytest.mark.parametrize("host", ["a" * 70 + ".example", "xn--a" + ".example"])
def test_what_is_no_name_leads_nowhere(host):
    def lookup(host, _port, **_):
        return host.encode("idna") and []

    with pytest.raises(OSError, match="no"):
        resolve(parse(f"https://{host}/", insecure_loopback=False), lookup=lookup)
