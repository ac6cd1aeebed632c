"""A setting written into the text of a job file, with everything else left as it stands there."""

from typing import Any

import tomlkit
from tomlkit.exceptions import TOMLKitError

from batchrun.errors import UsageProblem
from batchrun.job.load import JobFile
from batchrun.quality.tune.settings import Setting, section_of


def written(text: str, job: JobFile, setting: Setting) -> str:
    """Return the text of a job file in which the job has the setting. Raises UsageProblem if nobody can edit the text.

    A cascade and a tier are taken out, because the setting was measured without other models.
    """
    try:
        document: Any = tomlkit.parse(text.replace("\r\n", "\n"))
        _write(document, job, setting)
        changed = tomlkit.dumps(document)
    except TOMLKitError as error:
        raise UsageProblem(
            f"{job.text.file.shown_path} cannot be changed by a program: {error}.",
            hint=f"write the setting by hand: {setting.words}",
        ) from error
    return changed.replace("\n", "\r\n") if "\r\n" in text else changed


def _write(document: Any, job: JobFile, setting: Setting) -> None:
    model, wanted = document["model"], section_of(job.spec.model, setting)
    for key in ("tier", "name", "effort", "thinking", "budget_tokens"):
        _put(model, key, getattr(wanted, key))
    if job.spec.cascade is not None:
        del document["cascade"]
    elif (fallbacks := model.get("fallbacks")) and setting.model in fallbacks:
        fallbacks.remove(setting.model)
    if setting.prompt is not None:
        prompt = document["prompt"]
        _put(prompt, "user", None)
        _put(prompt, "user_file", setting.prompt)


def _put(table: Any, key: str, value: str | int | None) -> None:
    """Give a key a value, or take the key out. What has the value already is left as it is written."""
    if value is None:
        table.pop(key, None)
    elif table.get(key) != value:
        table[key] = value
