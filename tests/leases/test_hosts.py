"""Hosts in processes of their own, killed at random, with a service that is killed too: the cap is never passed."""

import re
import subprocess
import sys

import pytest
from command_line import REPOSITORY


@pytest.mark.slow
def test_hosts_that_are_killed_never_pass_the_cap_they_share() -> None:
    """What is billed is at most what is leased, which is at most the cap, at any time; and in the end nothing idles."""
    script = REPOSITORY / "tests" / "benchmarks" / "leases.py"
    options = ["--hosts", "3", "--seconds", "5", "--longest", "3", "--cap", "0.003"]
    command = [sys.executable, str(script), *options]
    ran = subprocess.run(command, check=False, capture_output=True, text=True, timeout=600)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    holders = re.search(r"(\d+) hosts and \d+ services killed, (\d+) holders", ran.stdout)
    assert holders, ran.stdout
    assert int(holders[1]) > 0
    assert int(holders[2]) == 3
