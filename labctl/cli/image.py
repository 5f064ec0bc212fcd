"""`labctl image build / ls / save / load`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from labctl.cli.options import FileName, json_option, verbose_option
from labctl.cli.output import print_json, say
from labctl.lab.desired_state import IMAGE_SOURCES

if TYPE_CHECKING:
    from pathlib import Path


@click.group("image", short_help="The image of the servers.")
def image_command() -> None:
    """Make, list, save and load the image that every server of a lab runs."""


@image_command.command("build")
@click.option(
    "--source", type=click.Choice(IMAGE_SOURCES), default="auto", show_default=True, help="Where Consul comes from."
)
@click.option(
    "--consul-version",
    metavar="X.Y.Z",
    default="",
    help="This version and no other.  [default: the newest the source has]",
)
@click.option(
    "--binary", type=FileName(dir_okay=True), metavar="FILE", help="A consul binary, for the source `binary`."
)
@click.option("--force", is_flag=True, help="Make it again, also when it is there.")
@json_option
@verbose_option
def build_command(
    source: str, consul_version: str, binary: Path | None, *, force: bool, as_json: bool, verbose: bool
) -> None:
    """Make the image from one of its sources, or say that it is there."""
    from labctl.errors import ExitCode, LabctlError
    from labctl.lab.desired_state import binary_sentence
    from labctl.lab.image import ImageOptions, build
    from labctl.terminal.progress import steps_for

    path = str(binary.absolute()) if binary else ""
    chosen = "binary" if binary and source == "auto" else source
    if binary and chosen != "binary":
        raise LabctlError(binary_sentence(chosen), ExitCode.USAGE)
    if chosen == "binary" and not binary:
        raise LabctlError("The source binary needs a consul binary: name it with `--binary FILE`.", ExitCode.USAGE)
    options = ImageOptions(chosen, consul_version, path, force=force, verbose=verbose)
    result = build(options, steps_for(json=as_json))
    if as_json:
        print_json(result)


@image_command.command("ls")
@json_option
def ls_command(*, as_json: bool) -> None:
    """List the images on this Docker host, the newest version first."""
    from labctl.cli import tables
    from labctl.engine import client, images

    built = images.list_images(client.connect())
    if as_json:
        print_json([image.result for image in built])
    elif built:
        click.echo(tables.images_table(built))
    else:
        click.echo("No image is there: `labctl image build` makes one.", err=True)


@image_command.command("save")
@click.argument("file", type=FileName())
@click.option("--consul-version", metavar="X.Y.Z", help="Which one, where there are several.  [default: the newest]")
@click.option("--force", is_flag=True, help="Overwrite FILE.")
@json_option
def save_command(file: Path, consul_version: str | None, *, force: bool, as_json: bool) -> None:
    """Save the image to FILE, to carry it to a machine without a network."""
    from labctl.lab.image import save

    result = save(file, consul_version, force=force)
    if as_json:
        print_json(result)
    else:
        # Standard output may be where the image went.
        say(result.text, err=not file.is_file())


@image_command.command("load")
@click.argument("file", type=FileName())
@json_option
def load_command(file: Path, *, as_json: bool) -> None:
    """Load the image from FILE, as `labctl image save` wrote it."""
    from labctl.lab.image import load

    result = load(file)
    if as_json:
        print_json(result)
    else:
        say(result.text)
