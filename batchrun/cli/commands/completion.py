"""`batchrun completion`: the script that lets a shell complete commands and options."""

import click


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print a completion script.

    \b
    batchrun completion bash > ~/.local/share/bash-completion/completions/batchrun
    """  # noqa: D301 - \b makes click keep the lines
    from click.shell_completion import get_completion_class

    kind = get_completion_class(shell)
    assert kind is not None
    click.echo(kind(ctx.find_root().command, {}, "batchrun", "_BATCHRUN_COMPLETE").source())
