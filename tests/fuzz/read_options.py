"""Bytes as what somebody gives `up`: names, addresses, versions, a file's name, and values out of an inventory."""

from __future__ import annotations

import contextlib
import json
from dataclasses import replace
from typing import Any

import click

from labctl.cli.options import FileName
from labctl.errors import ExitCode
from labctl.lab.desired_state import UpOptions, completed, refuse_options
from labctl.shared import subnets
from labctl.shared.lab_spec import SETTINGS
from labctl.workshop.model import network
from tests.fuzz import harness

CONTEXT = click.Context(click.Command("x"))
ASKED = UpOptions("ada", "ada")
OPTIONS = ("lab", "image_source", "subnet", "subnet_pool")
VARIABLES = (
    *("consul_lab_servers", "consul_lab_pace", "consul_lab_profile", "consul_lab_seed_file", "consul_lab_http_port"),
    *("consul_image_version", "consul_image_source", "consul_lab_subnet", "consul_lab_subnet_pool"),
)
SEEDS = [
    b"ada", b"teach", b"gossip", b"1.21.4", b"v1.22.0-rc1+ent", b"10.213.7.0/28", b"10.213.0.0/16", b"0.0.0.0/0",
    b"224.0.0.0/28", b"::/0", b"fd00::/64", b"10.213.7.0/255.255.255.240", b"/dev/zero", b"workshop.yml", b"-",
    b'{"consul_lab_servers": 3, "consul_lab_http_port": "21000", "consul_lab_subnet": "10.213.7.0/28"}',
    b'{"consul_image_version": 1.21, "consul_lab_pace": ["real"], "consul_lab_subnet_pool": {"a": 1}}',
]  # fmt: skip


def one_try(data: bytes) -> None:
    """Take this text for every option, and for an inventory's variables."""
    text = data.decode("utf-8", "replace")[:5000]
    with contextlib.suppress(click.UsageError):
        FileName().convert(text.replace("\0", ""), None, CONTEXT)
    for parse in (subnets.parse, network.parse):
        with contextlib.suppress(ValueError):
            assert parse(text).prefixlen <= subnets.PREFIX
    given: Any = text
    with contextlib.suppress(ValueError, RecursionError):
        given = json.loads(text)
    variables = given if isinstance(given, dict) else dict.fromkeys(VARIABLES, given)
    told: list[dict[str, Any]] = [{option: text} for option in OPTIONS]
    asked = [replace(ASKED, **options) for options in told]
    asked += [replace(ASKED, given={setting.name: text}) for setting in SETTINGS]
    asked += [completed(ASKED, {name: variables[name]}) for name in VARIABLES if name in variables]
    for options in asked:
        error = harness.refusal(lambda options=options: refuse_options(options))  # type: ignore[misc]
        assert error is None or error.code is ExitCode.USAGE
        assert error is None or len(error.sentence) < 12 * len(text) + 500
