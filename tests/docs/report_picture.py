"""Makes the picture of a report in the README, batchrun/docs/report.png, of a simulated run of 2,400 contracts.

    python tests/docs/report_picture.py [FILE]      takes six minutes and chromium; FILE keeps the report

The documents are the sample contracts, each many times with another number in it, and the simulated API is busy.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
PICTURE = REPOSITORY / "batchrun" / "docs" / "report.png"
CHROMIUM = "/usr/bin/chromium"
DOCUMENTS, WIDTH, HEIGHT = 2_400, 1_240, 985
COMMANDS = (
    "submit jobs/contracts.toml --simulate=busy -q",
    "report contracts --simulate -o report.html --sample 5",
)


def project(folder: Path) -> None:
    """Fill a folder with the sample job, over many contracts and with evidence for each field."""
    samples = sorted((REPOSITORY / "sample_data" / "contracts").glob("*.txt"))
    (folder / "contracts").mkdir()
    (folder / "jobs").mkdir()
    for number in range(DOCUMENTS):
        sample = samples[number % len(samples)]
        text = sample.read_bytes().decode("utf-8", "replace")
        (folder / "contracts" / f"{sample.stem}-{number:04}.txt").write_text(f"No. {number:04}\n{text}", "utf-8")
    job = (REPOSITORY / "jobs" / "contracts.toml").read_text("utf-8")
    job = re.sub(r"(?m)^include = .*", 'include = ["contracts/*.txt"]', job)
    job = re.sub(r"(?m)^max_cost_usd = .*", "max_cost_usd = 40.00", job)
    job = re.sub(r"(?m)^\[output\.fields\]", "[output]\nevidence = true\n\n[output.fields]", job)
    job = re.sub(r"(?m)^\[limits\].*", "[limits]\nrequests_per_minute = 600", job)
    (folder / "jobs" / "contracts.toml").write_text(job, "utf-8")
    (folder / "batchrun.toml").touch()


def main() -> None:
    """Run the job, write its report, and take a picture of the report's beginning."""
    program = [sys.executable, "-m", "batchrun"]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        project(folder)
        for command in COMMANDS:
            subprocess.run([*program, *command.split()], cwd=folder, env=environment, check=False)
        if len(sys.argv) > 1:
            shutil.copy(folder / "report.html", sys.argv[1])
        subprocess.run(
            [CHROMIUM, "--headless", "--no-sandbox", "--hide-scrollbars", f"--window-size={WIDTH},{HEIGHT}",
             f"--screenshot={PICTURE}", (folder / "report.html").as_uri()],
            cwd=folder, check=True, capture_output=True,
        )  # fmt: skip
    print(PICTURE, PICTURE.stat().st_size)


if __name__ == "__main__":
    main()
