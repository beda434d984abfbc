"""Which addresses an owner's webhook may lead to: the public internet, never the operator's own network.

A name is looked up once for each connection, what it leads to is checked, and that is what is connected to: a name that
changes its mind between check and use gains nothing. An address that is written out is checked when it is stored.
"""

import asyncio
import ipaddress
import socket
from typing import Final
from urllib.parse import urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from typing_extensions import override

URL_LENGTH_MAX: Final = 2_000
_NAT64: Final = ipaddress.ip_network("64:ff9b::/96")
_IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address


def url_problem(url: str, *, may_stay_inside: bool) -> str | None:
    """Return what is wrong with a webhook's URL, None if nothing is (pure).

    With `may_stay_inside`, for tests and the demo, it may lead to this machine, and by plain http.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return "is not a URL"
    schemes = ("https", "http") if may_stay_inside else ("https",)
    if len(url) > URL_LENGTH_MAX or not url.isascii() or not url.isprintable() or " " in url:
        return f"must be written in ASCII without spaces, at most {URL_LENGTH_MAX} characters"
    if parts.scheme not in schemes or not host or port == 0:
        return f"must begin with {schemes[0]}:// and name a host"
    if parts.username is not None or parts.password is not None or parts.fragment:
        return "must have no user, password or fragment"
    if not may_stay_inside and _is_inside(host):
        return "must lead to the public internet"
    return None


def is_public(address: str) -> bool:
    """Return whether an IP address is one of the public internet's (pure)."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    return all(each.is_global and not each.is_multicast for each in _meant_by(found))


def public_connector(*, may_stay_inside: bool) -> aiohttp.TCPConnector:
    """Return a connector that reaches public addresses only, unless it may stay inside."""
    return aiohttp.TCPConnector(resolver=_PublicResolver(may_stay_inside=may_stay_inside), use_dns_cache=False)


class AddressNotPublicError(OSError):
    """A name leads to an address that no webhook may reach."""


class _PublicResolver(AbstractResolver):
    """Looks names up and refuses those of which a single address is not public."""

    def __init__(self, *, may_stay_inside: bool) -> None:
        self._may_stay_inside = may_stay_inside

    @override
    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        found = await asyncio.get_running_loop().getaddrinfo(
            host, port, type=socket.SOCK_STREAM, family=family, flags=socket.AI_ADDRCONFIG
        )
        addresses = [(each_family, proto, str(address[0])) for each_family, _, proto, _, address in found]
        if not self._may_stay_inside and not all(is_public(address) for _, _, address in addresses):
            raise AddressNotPublicError(f"{host} leads to an address that is not public")
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=each_family,
                proto=proto,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for each_family, proto, address in addresses
        ]

    @override
    async def close(self) -> None:
        """Nothing is kept open."""


def _is_inside(host: str) -> bool:
    """Return whether a host is written as an address that is not public, or named as this machine."""
    name = host.rstrip(".").lower()
    if name == "localhost" or name.endswith((".localhost", ".local", ".internal")):
        return True
    try:
        ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        return False  # a name: looked at when it is looked up
    return not is_public(name)


def _meant_by(address: _IpAddress) -> tuple[_IpAddress, ...]:
    """Return an address and the IPv4 address that is wrapped in it, if there is one."""
    if isinstance(address, ipaddress.IPv4Address):
        return (address,)
    if address.ipv4_mapped is not None:
        return (address.ipv4_mapped,)
    if address in _NAT64:
        return (ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF),)
    wrapped = [inner for inner in (address.sixtofour, *(address.teredo or ())) if inner is not None]
    return (address, *wrapped)
