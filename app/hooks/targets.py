"""Where webhooks may lead: to public addresses, and to networks that whoever runs the server allows.

The name is looked up here, every address that it has is judged, and the connection is made to one of those
very addresses. So a name that leads elsewhere a moment later leads nobody there.
"""

import asyncio
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

import httpx

from app.base.errors import Invalid

Address = IPv4Address | IPv6Address
Networks = Sequence[IPv4Network | IPv6Network]

_LOOKED_UP_IN = 5.0
"""Seconds that a name is looked up for at most."""

_UNICAST = ip_network("2000::/3")
_NAT64 = ip_network("64:ff9b::/96")
_NEVER = [
    ip_network(each)
    for each in ("192.0.0.0/24", "192.88.99.0/24", "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")
]
"""What Python takes for public and leads elsewhere: protocols, relays, tunnels to any address, examples."""


class Unknown(ValueError):
    """A name that nobody knows now."""

    def __init__(self) -> None:
        super().__init__("its name is not known")


@dataclass(frozen=True)
class Target:
    """An address as it is written, and the host and port in it."""

    url: httpx.URL
    host: str
    port: int

    def at(self, address: Address) -> httpx.URL:
        """The same at one address of its host."""
        return self.url.copy_with(host=str(address))


def read(text: str) -> Target:
    """The target that a text names. Raises ValueError."""
    try:
        url = httpx.URL(text)
    except (httpx.InvalidURL, ValueError):
        raise ValueError("is not an address that can be read") from None
    if url.scheme not in ("http", "https") or not url.host or "%" in url.host:
        raise ValueError("is not an http or https URL")
    if url.userinfo:
        raise ValueError("has a user in it")
    if url.fragment:
        raise ValueError("has a fragment, which is sent to nobody")
    port = url.port or {"http": 80, "https": 443}[url.scheme]
    if port > 65535:
        raise ValueError("has a port that there is not")
    return Target(url, url.raw_host.decode().strip("[]"), port)


async def addresses(target: Target, networks: Networks) -> list[Address]:
    """The addresses of a target, all of which may be sent to. Raises ValueError, Unknown if it has none."""
    if target.url.scheme == "http" and not networks:
        raise ValueError("is not https")
    found = [ip_address(each) for each in await looked_up(target.host, target.port)]
    for address in map(_meant, found):
        if any(address in network for network in networks):
            continue
        if target.url.scheme == "http":
            raise ValueError("is not https")
        if not is_public(address):
            raise ValueError("leads to an address that is not public")
    return found


async def looked_up(host: str, port: int) -> list[str]:
    """The addresses that a name has. Raises Unknown."""
    try:
        async with asyncio.timeout(_LOOKED_UP_IN):
            found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError, TimeoutError):
        raise Unknown from None
    return list(dict.fromkeys(str(each[4][0]) for each in found))


def _meant(address: Address) -> Address:
    """The address that is reached by one: some of IPv6 are of IPv4."""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address in _NAT64:
            return IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def is_public(address: Address) -> bool:
    """Whether an address is one of the internet at large."""
    address = _meant(address)
    if address.is_multicast or not address.is_global or any(address in network for network in _NEVER):
        return False
    return isinstance(address, IPv4Address) or address in _UNICAST


async def check(text: str, networks: Networks) -> None:
    """Raises Invalid for what may not be a target. A name that is not known now may be known later: it is
    looked up again at the beginning of each run of deliveries.
    """
    try:
        await addresses(read(text), networks)
    except Unknown:
        return
    except ValueError as fault:
        raise Invalid.at("/url", str(fault)) from None
