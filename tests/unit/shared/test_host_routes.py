"""The kernel's table of routes, as networks."""

from __future__ import annotations

import ipaddress

from hypothesis import given
from hypothesis import strategies as st

from labctl.shared import host_routes


def test_routes_are_read_and_the_default_route_is_left_out() -> None:
    table = (
        "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"
        "eth0\t00000000\t010011AC\t0003\t0\t0\t0\t00000000\t0\t0\t0\n"
        "eth0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\n"
        "br-1\t1007D50A\t00000000\t0001\t0\t0\t0\tF0FFFFFF\t0\t0\t0\n"
        "too short\n"
    )
    assert host_routes.routes(table) == [ipaddress.IPv4Network(text) for text in ("172.17.0.0/16", "10.213.7.16/28")]


@given(st.integers(0, 2**32 - 1), st.integers(1, 32))
def test_a_route_is_read_back_as_it_was(address: int, prefix: int) -> None:
    route = ipaddress.IPv4Network((address, prefix), strict=False)

    def column(number: int) -> str:
        return number.to_bytes(4, "little").hex().upper()

    line = f"e {column(int(route.network_address))} 0 0 0 0 0 {column(int(route.netmask))} 0 0 0"
    assert host_routes.routes(f"head\n{line}\n") == [route]
