"""Whether a server saw a connection: its kernel's tables of sockets."""

from __future__ import annotations

from dataclasses import replace

import pytest

from labctl.isolation.attempts import Attempt
from labctl.isolation.connection_table import Connection, connections, saw

TRY = Attempt("server", "local", "b", "consul1", "10.213.0.2", 8300)
# As a kernel wrote them: one that listens, one of the lab, one over IPv6 that is IPv4, one that is closing.
TABLES = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0200D50A:206C 00000000:0000 0A 00000000:00000000 00:00000000 00000000  8500        0 52349 1 0000000000000000 100
   1: 0200D50A:206C 0300D50A:9C40 01 00000000:00000000 02:000008D7 00000000  8500        0 52412 2 0000000000000000 20
  sl  local_address                         remote_address                        st tx_queue rx_queue tr
   0: 00000000000000000000000000000000:2134 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000
   1: 0000000000000000FFFF00000200D50A:2134 0000000000000000FFFF00000100D50A:4E21 08 00000000:00000000 00:00000000
"""
OWN = {"10.213.0.2", "10.213.0.3", "10.213.0.4"}
OF_LAB = Connection(8300, "10.213.0.3", 40_000)


def test_the_tables_are_read_with_ipv4_in_both_forms_and_without_what_listens() -> None:
    assert connections(TABLES) == {OF_LAB, Connection(8500, "10.213.0.1", 20_001)}


@pytest.mark.parametrize("tables", ["", "\x00", "   1: zz:206C 0300D50A:9C40 01", "sl local_address"])
def test_what_is_no_table_has_no_connection(tables: str) -> None:
    assert connections(tables) == frozenset()


@pytest.mark.parametrize(
    ("during", "found"),
    [
        ([OF_LAB], False),
        ([OF_LAB, Connection(8300, "10.213.0.4", 41_000)], False),
        ([OF_LAB, Connection(8300, "10.213.0.1", 20_001)], True),
        ([OF_LAB, Connection(8301, "10.213.0.1", 20_001)], False),
        # It came from another port, as where a proxy hands it on: or it is somebody else's.
        ([OF_LAB, Connection(8300, "10.213.0.1", 55_555)], None),
    ],
)
def test_a_connection_is_known_by_the_port_that_it_came_from(during: list[Connection], found: bool | None) -> None:
    assert saw(TRY, 20_001, [OF_LAB], during, OWN) is found


def test_what_was_there_before_is_not_ours() -> None:
    there = Connection(8300, "10.213.0.1", 20_001)
    assert saw(TRY, 20_001, [there], [there], OWN) is False


def test_through_a_published_port_nothing_that_is_not_seen_is_denied() -> None:
    published = replace(TRY, kind="published", port=32_768)
    assert saw(published, 20_001, [], [OF_LAB], OWN) is None
    assert saw(published, 20_001, [], [Connection(8500, "10.213.0.1", 20_001)], OWN) is True
