"""labctl bundle: a lab's logs in one file."""

from __future__ import annotations

from pathlib import Path

import click

from labctl.cli.options import FileName, json_option, lab_argument, viewer
from labctl.cli.output import print_json, say


@click.group("bundle", short_help="A lab's logs in one file.")
def bundle_command() -> None:
    """Keep the logs of a lab in one file, to be read anywhere with `labctl story FILE`."""


@bundle_command.command("save")
@lab_argument
@click.option(
    "-o",
    "--output",
    type=FileName(),
    metavar="FILE",
    help="Where to.  [default: LAB.tgz]",
)
@click.option("--force", is_flag=True, help="Overwrite FILE.")
@json_option
def save_command(lab: str | None, output: Path | None, *, force: bool, as_json: bool) -> None:
    """Save the logs of LAB with Docker's time of each line, versions, settings without secrets, and the story."""
    from labctl.story import bundle
    from labctl.terminal.style import byte_size

    result = bundle.save(lab, output, force=force, owner=viewer())
    if as_json:
        print_json(result)
    else:
        size = byte_size(result.size)
        # Standard output may be where the bundle went.
        aside = not Path(result.file).is_file()
        say(f"Saved {result.lines} lines of the lab {result.lab} to {result.file} ({size}).", err=aside)
        if result.missing:
            gone = " and ".join(result.missing)
            say(f"It has no log of {gone}: a container that is gone took its log along.", err=aside)
        say(f"Anyone who has the file can read its story: labctl story {result.file}", err=aside)
