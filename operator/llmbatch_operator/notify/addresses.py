"""Addresses that nothing is sent to: who may create a batch shall not reach what only the operator's node can. Pure.

Loopback is the operator's own pod, and link-local addresses are those of nodes and clouds, whose metadata services give
away credentials. Private addresses are allowed: receivers in the cluster and the company have them.
"""

from ipaddress import IPv4Address, IPv6Address, ip_address

_METADATA = frozenset(
    (
        ip_address("100.100.100.200"),  # Alibaba Cloud
        ip_address("168.63.129.16"),  # Azure, its host
        ip_address("192.0.0.192"),  # Oracle Cloud
        ip_address("fd00:ec2::254"),  # Amazon
        ip_address("fd20:ce::254"),  # Google Cloud
    )
)


def is_refused(address: str) -> bool:
    """Whether nothing may be sent to an IP address. A name is none."""
    try:
        ip = ip_address(address.partition("%")[0])
    except ValueError:
        return False
    return any(_is_local(each) for each in _meant(ip))


def _meant(ip: IPv4Address | IPv6Address) -> list[IPv4Address | IPv6Address]:
    """The address, and the IPv4 address that is wrapped in it."""
    if isinstance(ip, IPv4Address):
        return [ip]
    wrapped = [ip.ipv4_mapped, ip.sixtofour, _nat64(ip)]
    return [ip, *(each for each in wrapped if each is not None)]


def _nat64(ip: IPv6Address) -> IPv4Address | None:
    return IPv4Address(int(ip) & 0xFFFFFFFF) if int(ip) >> 32 == 0x0064FF9B << 64 else None


def _is_local(ip: IPv4Address | IPv6Address) -> bool:
    return ip.is_loopback or ip.is_link_local or ip.is_unspecified or ip.is_multicast or ip in _METADATA
