"""`labctl doctor`."""

from __future__ import annotations

import click

from labctl.cli.options import json_option, viewer
from labctl.cli.output import print_json


@click.command("doctor", short_help="Check this machine.")
@click.option(
    "--fix",
    is_flag=True,
    help="Install what is missing: Ansible's collections, Docker Engine and Compose, the image.",
)
@json_option
def doctor_command(*, fix: bool, as_json: bool) -> int:
    """Check what a lab needs of this machine, and print the command that fixes each problem.

    Exit code 1 where something is still missing.
    """
    from labctl.cli.tables import doctor_text
    from labctl.errors import ExitCode
    from labctl.setup.doctor import examine, fix_findings
    from labctl.terminal.progress import steps_for

    findings = examine(viewer())
    if fix and not all(finding.ok for finding in findings):
        fix_findings(findings, steps_for(json=as_json))
        findings = examine(viewer())
    if as_json:
        print_json(findings)
    else:
        click.echo(doctor_text(findings))
    return ExitCode.DONE if all(finding.ok for finding in findings) else ExitCode.FAILED
