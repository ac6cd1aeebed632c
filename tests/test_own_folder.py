"""The README's way to a folder of one's own, and the documented lines for cron, as they are printed."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import KEY, REPOSITORY, CommandLine, serving, talking_to

from batchrun.errors import ExitCode

pytestmark = pytest.mark.slow

README = (REPOSITORY / "README.md").read_text("utf-8")
UNATTENDED = (REPOSITORY / "batchrun" / "docs" / "unattended.md").read_text("utf-8")


def test_the_lines_for_a_folder_of_ones_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    block = README.split("## Your own folder")[1].split("```")[1]
    commands = re.findall(r"^(?:cd ~/office && )?batchrun (.*?) +#", block, re.MULTILINE)
    assert [command.split()[0] for command in commands] == ["init", "try", "plan", "submit", "results", "report"]
    office = tmp_path / "office"
    documents = office / "letters"
    documents.mkdir(parents=True)
    (documents / "one.txt").write_text("Dear Ms Alder, we met on 3 May 2026.")
    monkeypatch.chdir(office)
    batchrun = CommandLine(capsys)
    with serving() as api:
        for name, value in talking_to(api).items():
            monkeypatch.setenv(name, value)
        ran = {command.split()[0]: batchrun(command) for command in commands}
        assert {name: one.err for name, one in ran.items() if one.code != ExitCode.OK} == {}
        assert "1 row" in ran["results"].out
        assert len(api.books.entries) == 1, "what was tried is not sent again"
        report = Path(ran["report"].out.strip())
        assert "letters/one.txt" in report.read_text("utf-8")
        (office / "batchrun.toml").write_text(README.split("```toml\n")[1].split("```")[0])
        (documents / "two.txt").write_text("Dear Mr Birch, we never met.")
        batchrun("init jobs/second.toml")
        change = Path("jobs/second.toml")
        change.write_text(change.read_text("utf-8").replace("documents/**", "letters/**"), "utf-8")
        assert "10.00, the day's budget" in batchrun("plan jobs/second.toml").out


def test_the_line_for_cron(tmp_path: Path) -> None:
    """It is run as cron runs it: by sh, at home, with a short path and without a key."""
    project = tmp_path / "srv"
    (project / "docs").mkdir(parents=True)
    (project / "docs" / "one.txt").write_text("one")
    (project / ".batchrun").mkdir()
    (project / "jobs").mkdir()
    (project / "jobs" / "contracts.toml").write_text(
        '[job]\nname = "contracts"\n[source]\ntype = "files"\ninclude = ["docs/*.txt"]\n'
        '[model]\nname = "claude-haiku-4-5"\nmax_tokens = 100\n[prompt]\nuser = "{{ doc.text }}"\n'
        '[output.fields]\ntitle = "string"\n[budget]\nmax_cost_usd = 1\n'
    )
    program = tmp_path / "bin" / "batchrun"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nPYTHONPATH={REPOSITORY} exec {sys.executable} -m batchrun "$@"\n')
    program.chmod(0o755)
    lines = re.findall(r"^(?:0 2|\*/30) \* \* \* (?:\* )?(.*)$", UNATTENDED, re.MULTILINE)
    assert len(lines) == 2
    assert "MAILTO=" in UNATTENDED
    (keeping,) = re.findall(r"^(\(umask .*)$", UNATTENDED, re.MULTILINE)

    def here(line: str) -> str:
        return line.replace("/srv/contracts", str(project)).replace("/usr/local/bin/batchrun", str(program))

    environment = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin", "SHELL": "/bin/sh", "LOGNAME": "somebody"}
    with serving() as api:
        subprocess.run(["/bin/sh", "-c", here(keeping)], env=environment | {"ANTHROPIC_API_KEY": KEY}, check=True)
        key_file = project / "key.env"
        assert key_file.stat().st_mode & 0o777 == 0o600
        with key_file.open("a") as file:
            file.write(f"export ANTHROPIC_BASE_URL={api.base_url}\n")
        for line in lines:
            ran = subprocess.run(
                ["/bin/sh", "-c", here(line)],
                env=environment,
                cwd=tmp_path,
                capture_output=True,
                text=True,
                check=False,
            )
            assert (ran.returncode, ran.stdout, ran.stderr) == (ExitCode.OK, "", "")
        assert len(api.books.entries) == 1
    assert (project / "results" / "batchrun.duckdb").exists()
