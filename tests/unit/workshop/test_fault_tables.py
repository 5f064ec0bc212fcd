"""The board of a fault in many seats."""

from __future__ import annotations

from dataclasses import replace

from labctl.workshop.fault_tables import board, brought_back, seat_faults_document
from labctl.workshop.model.fault_result import SeatFault

SLOW = SeatFault("w-01", "01", "red", ("consul3",), "k1", leader="consul1", term=5, seconds=4.0, campaigns=4)
QUICK = SeatFault("w-02", "02", "red", ("consul1",), "k2", leader="consul2", term=4, seconds=2.0, campaigns=3)
ALONE = SeatFault("w-03", "03", "red", ("consul1", "consul2"), "k3", note="1 of 3 servers remain: nobody can win")
GONE = SeatFault("w-04", "04", None, problem="it is \x1b[31mnot there")


def test_the_quickest_election_stands_first_with_a_bar_to_scale() -> None:
    lines = board([SLOW, QUICK, ALONE, GONE]).splitlines()
    assert [line.split()[0] for line in lines[1:5]] == ["02", "01", "03", "04"]
    bars = [line.count("━") + line.count("=") for line in lines[1:3]]
    assert bars[1] == 2 * bars[0]
    assert "nobody can win" in lines[3]
    assert r"\x1b[31mnot there" in lines[4]
    assert "Seconds without a leader in 2 seats: 2.00 to 4.00, median 3.00." in lines
    assert "fault heal --all" in lines[-1]


def test_of_three_seats_the_one_in_the_middle_is_the_median_and_not_half_of_them() -> None:
    middle = replace(SLOW, name="05", lab="w-05", seconds=2.5)
    assert "Seconds without a leader in 3 seats: 2.00 to 4.00, median 2.50." in board([SLOW, QUICK, middle])


def test_what_came_back_is_listed() -> None:
    assert brought_back([QUICK, GONE]).splitlines()[1].split() == ["02", "consul1"]


def test_the_document_has_every_seat() -> None:
    document = seat_faults_document("w", "kill leader", [SLOW, GONE])
    assert [seat["seconds"] for seat in document["seats"]] == [4.0, None]
    assert [seat["fault"] for seat in document["seats"]] == ["k1", None]
