"""`batchrun check`: whether the output is as the job file says it must be."""

from dataclasses import asdict
from pathlib import Path

import click

from batchrun.cli.options import LEDGER, speaking
from batchrun.cli.views.terminal import Terminal
from batchrun.errors import ExitCode, UsageProblem
from batchrun.escaping import readable_json


@click.command()
@click.argument("job", default="last")
@click.option(
    "--junit",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write the results as JUnit XML too, which CI systems show.",
)
@click.option("--simulate", is_flag=True, help="Look only at simulated runs.")
@LEDGER
@speaking
def check(job: str, *, junit: Path | None, simulate: bool, ledger: Path | None, terminal: Terminal) -> int:
    """Run the checks of a job over the rows in its output. Nothing is sent. Exit 1 if a check fails.

    \b
    batchrun check jobs/contracts.toml
    batchrun check contracts --junit checks.xml
    """  # noqa: D301 - \b makes click keep the lines
    from batchrun.cli.export import write_text
    from batchrun.cli.find_run import found_run
    from batchrun.cli.views.check_text import checks_as_text, junit_xml
    from batchrun.quality.checks.result import any_fails
    from batchrun.workflow.batch_recovery import FINAL_WAIT_S
    from batchrun.workflow.open_job import open_output
    from batchrun.workflow.run_quality import checks_of

    with found_run(job, ledger, simulated=simulate) as found:
        path, story = found.job_path, found.story
    with open_output(path, simulated=story.simulated) as opened:
        if not opened.job.spec.check:
            raise UsageProblem(f"{path} has no [[check]].", hint="see how to write one: batchrun docs quality")
        opened.output().publish(wait_s=FINAL_WAIT_S)
        results = checks_of(opened, run_no=story.run_no)
    exit_code = ExitCode.SOME_FAILED if any_fails(results) else ExitCode.OK
    if junit:
        write_text((junit_xml(results, job=story.job),), junit, terminal)
    if terminal.json:
        fields = {"job": story.job, "run": story.run_id, "simulated": story.simulated, "exit_code": int(exit_code)}
        terminal.result(readable_json({**fields, "checks": [asdict(one) for one in results]}))
    elif exit_code or not terminal.quiet:
        terminal.result(checks_as_text(results, story.job, terminal, simulated=story.simulated))
    return exit_code
