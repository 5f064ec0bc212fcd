"""What an owner may have on a Docker host, as its admin wrote it, and what they have."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import yaml

from labctl.shared import quotas
from labctl.shared.quotas import Claim, Limit, LimitsError, Use

ROOT = Path(__file__).resolve().parents[3]
G, M = 1 << 30, 1 << 20


# -- the file ------------------------------------------------------------------------------------------------


def test_a_file_of_limits_is_read() -> None:
    text = (
        "# of the class\n[everybody]\nlabs = 2\nmemory: 1.5g\n\n"
        "[ada.lovelace]\nlabs=unlimited\n[DEFAULT]\nservers = 0\n"
    )
    assert quotas.parse(text) == {
        "everybody": {"labs": 2, "memory": 1.5 * G},
        "ada.lovelace": {"labs": math.inf},
        "DEFAULT": {"servers": 0},
    }
    assert quotas.parse("") == quotas.parse("; nothing yet\n") == {}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("labs = 2\n", "line 1: 'labs = 2' is in no section, such as [everybody]"),
        ("[everybody]\nlabs\n", "line 2: 'labs' is neither a [section] nor a `key = value`"),
        ("[everybody\n", "line 1: '[everybody' is in no section, such as [everybody]"),
        ("[a]\nlabs = 1\nlabs = 2\n", "section [a], key labs: it is there twice (line 3)"),
        ("[a]\n[b]\n[a]\n", "section [a]: it is there twice (line 3)"),
        ("[a]\nlab = 1\n", "section [a], key lab: there is no such key, only labs, servers, memory"),
        ("[a]\nLabs = 1\n", "section [a], key Labs: there is no such key, only labs, servers, memory"),
        ("[a]\nlabs = -1\n", "section [a], key labs: '-1' is not a whole number, nor `unlimited`"),
        ("[a]\nlabs = 2 # two\n", "section [a], key labs: '2 # two' is not a whole number, nor `unlimited`"),
        ("[a]\nlabs =\n", "section [a], key labs: '' is not a whole number, nor `unlimited`"),
        ("[a]\nlabs = 1\n  servers = 2\n", "key labs: '1\\nservers = 2' is not a whole number"),
        ("[a]\nlabs = \u00b2\n", "key labs: '\\xb2' is not a whole number"),
        (f"[a]\nlabs = {'9' * 5000}\n", "99...' is not a whole number"),
        (f"[a]\nmemory = {'9' * 5000}g\n", "99...' is not an amount of memory such as 512m or 4g, nor `unlimited`"),
        ("[a]\nmemory = lots\n", "section [a], key memory: 'lots' is not an amount of memory such as 512m or 4g"),
        ("[\x1b[2J]\nlab = 1\n", "section [\\x1b[2J], key lab:"),
    ],
)
def test_what_cannot_be_understood_is_named_by_section_and_key(text: str, says: str) -> None:
    with pytest.raises(LimitsError) as caught:
        quotas.parse(text)
    assert says in str(caught.value)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("text", "size"),
    [("0", 0), ("1048576", M), ("64b", 64), ("1k", 1024), ("256m", 256 * M), ("512MB", 512 * M), ("1.5GiB", 1.5 * G)],
)
def test_memory_is_in_dockers_units(text: str, size: float) -> None:
    assert quotas.memory(text) == size


@pytest.mark.parametrize("text", ["", "m", "-1m", "1e9", "1 x", "256m ", "1,5g"])
def test_what_is_no_amount_of_memory_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not an amount of memory"):
        quotas.memory(text)


def test_a_key_of_ones_own_section_counts_before_that_of_everybody() -> None:
    sections = quotas.parse("[everybody]\nlabs = 2\nservers = 6\n[ada]\nservers = 9\n[bob]\nlabs = unlimited\n")
    assert quotas.limits_of("ada", sections) == [
        Limit("labs", 2, "everybody"),
        Limit("servers", 9, "ada"),
        Limit("memory", math.inf, "everybody"),
    ]
    assert [limit.most for limit in quotas.limits_of("bob", sections)] == [math.inf, 6, math.inf]
    assert [limit.most for limit in quotas.limits_of("eve", {})] == [math.inf] * 3


def test_the_role_has_the_same_file_as_its_default() -> None:
    defaults = yaml.safe_load((ROOT / "roles" / "consul_lab" / "defaults" / "main.yml").read_text(encoding="utf-8"))
    assert defaults["consul_lab_limits_file"] == quotas.LIMITS_FILE


# -- what there is -------------------------------------------------------------------------------------------


def labels(**more: str) -> dict[str, str]:
    return {"x.lab": "ada"} | {f"x.{name.replace('_', '-')}": value for name, value in more.items()}


def test_a_server_claims_its_labs_size_and_a_reservation_what_is_being_made() -> None:
    assert quotas.claim_of(labels(server="consul1", servers="3"), 256, "x.") == Claim("ada", 3, 256)
    assert quotas.claim_of(labels(server="consul1", servers="many"), 0, "x.") == Claim("ada", 1, math.inf)
    reserved = labels(reserved_servers="5", reserved_memory="512")
    assert quotas.claim_of(reserved, 0, "x.") == Claim("ada", 5, 512)
    assert quotas.claim_of(labels(reserved_servers="5", reserved_memory="0"), 9, "x.") == Claim("ada", 5, math.inf)
    assert quotas.claim_of(labels(), 0, "x.") is None


def test_a_lab_is_as_large_as_its_largest_claim_also_while_servers_of_it_are_gone() -> None:
    claims = [
        *(Claim("ada", 3, 256), Claim("ada", 3, 256)),
        *(Claim("b", 1, 128), Claim("b", 3, 256)),
        Claim("c", 1, math.inf),
    ]
    assert quotas.uses(claims) == {"ada": Use(1, 3, 768), "b": Use(1, 3, 768), "c": Use(1, 1, math.inf)}
    assert quotas.uses([]) == {}


LIMITS = [Limit("labs", 2, "everybody"), Limit("servers", 6, "ada"), Limit("memory", 6 * 256, "everybody")]


def broken(others: Use, before: Use, after: Use) -> list[str]:
    return [limit.key for limit in quotas.exceeded(LIMITS, others, before, after)]


def test_exactly_what_is_allowed_is_no_more_than_is_allowed() -> None:
    assert broken(Use(1, 3, 768), Use(), Use(1, 3, 768)) == []
    assert broken(Use(1, 4, 768), Use(), Use(1, 3, 768)) == ["servers"]
    assert broken(Use(2, 6, 1536), Use(), Use(1, 1, 1)) == ["labs", "servers", "memory"]
    assert broken(Use(), Use(), Use(1, 1, math.inf)) == ["memory"]


def test_what_does_not_grow_breaks_no_limit() -> None:
    too_much = Use(9, 27, 9999)
    assert broken(too_much, Use(1, 5, 1280), Use(1, 5, 1280)) == []
    assert broken(too_much, Use(1, 5, 1280), Use(1, 3, 768)) == []
    assert broken(too_much, Use(1, 3, 768), Use(1, 3, 769)) == ["memory"]
    assert broken(too_much, Use(1, 3, math.inf), Use(1, 3, math.inf)) == []


def test_amounts_are_told_as_the_admin_writes_them() -> None:
    told = quotas.excess_words("ada", LIMITS[1:], Use(1, 5, 5 * 256), Use(2, 8, math.inf))
    assert told == (
        "at most 6 servers (ada has 5, this would make 8; section [ada]) and at most 1536 of memory "
        "(ada has 1280, this would make unlimited; section [everybody])"
    )
    shown = [quotas.words("memory", size) for size in (G, 768 * M, 3 << 10, 0)]
    assert shown == ["1g of memory", "768m of memory", "3k of memory", "0 of memory"]
    assert (quotas.words("labs", 1), quotas.words("labs", 0)) == ("1 lab", "0 labs")
    assert quotas.words("servers", math.inf) == "unlimited servers"
