"""`labctl completion SHELL`."""

from __future__ import annotations

import click


@click.command("completion", short_help="Print a completion script.")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion_command(shell: str) -> None:
    """Print the completion script for SHELL, as in `source <(labctl completion bash)`."""
    from click.shell_completion import get_completion_class

    from labctl.cli.main import labctl

    kind = get_completion_class(shell)
    if kind is None:
        raise click.UsageError(f"There is no completion for {shell}.")
    click.echo(kind(labctl, {}, "labctl", "_LABCTL_COMPLETE").source())
