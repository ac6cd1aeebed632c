"""`batchrun docs`: the pages of the documentation, which come with the program."""

from importlib import resources

import click

from batchrun.cli.views.terminal import Terminal


@click.command()
@click.argument("topic", required=False)
def docs(topic: str | None) -> None:
    """Show a page of the documentation, or list the pages.

    \b
    batchrun docs
    batchrun docs budgets
    """  # noqa: D301 - \b makes click keep the lines
    from batchrun.errors import UsageProblem
    from batchrun.job.problems import did_you_mean

    folder = resources.files("batchrun").joinpath("docs")
    pages = {page.name.removesuffix(".md"): page for page in folder.iterdir() if page.name.endswith(".md")}
    if topic is None:
        for name, page in sorted(pages.items()):
            click.echo(f"{name:<14} {page.read_text('utf-8').partition(chr(10))[0].removeprefix('# ')}")
        return
    if topic not in pages:
        close = did_you_mean(topic, pages)
        hint = f"did you mean {close}? All pages: batchrun docs" if close else "see the pages: batchrun docs"
        raise UsageProblem(f"there is no page {topic}.", hint=hint)
    text = pages[topic].read_text("utf-8")
    if width := Terminal().width():
        click.echo_via_pager(fitted(text, width))
    else:
        click.echo(text, nl=False)


def fitted(text: str, width: int) -> str:
    """Break the sentences of a page at a width. Tables and examples stay as they are."""
    from batchrun.cli.views.terminal import wrapped

    lines, in_example = list[str](), False
    for line in text.splitlines():
        in_example ^= line.startswith("```")
        lines.append(line if in_example or line.startswith(("|", "    ")) else wrapped(line, width))
    return "\n".join(lines) + "\n"
