"""Which keys of a job file decide about answers, and which of them differ between two job files."""

import pytest
from trial_project import TrialProject

from batchrun.job.decisive_keys import ChangedKey, changed_keys, decisive_keys
from batchrun.job.load import load_job

MODEL = 'name = "claude-sonnet-5-5"\nmax_tokens = 100\n'


def keys_of(project: TrialProject, **sections: str) -> dict[str, str]:
    return decisive_keys(load_job(project.job(**sections)))


def test_keys_with_their_defaults_are_left_out(project: TrialProject) -> None:
    keys = keys_of(project, output="normalise = true")

    assert keys.pop("prompt.user").startswith("sha256:")
    assert keys == {
        "model.name": '"claude-haiku-4-5"',
        "model.max_tokens": "100",
        "output.fields.title": '{"type": "string"}',
        "source.type": '"files"',
    }


@pytest.mark.parametrize(
    ("before", "now", "key"),
    [
        ({"model": MODEL + 'effort = "high"'}, {"model": MODEL + 'effort = "low"'},
         ("model.effort", '"high"', '"low"')),
        ({"model": MODEL}, {"model": MODEL + 'thinking = "disabled"'}, ("model.thinking", None, '"disabled"')),
        ({}, {"output_fields": 'title = "string?"'},
         ("output.fields.title", '{"type": "string"}', '{"type": "string?"}')),
        ({}, {"output": 'mode = "tool"\nmax_repairs = 0'}, ("output.mode", None, '"tool"')),
        ({}, {"source": 'type = "files"\ninclude = ["x*"]\nencoding = "cp1252"'},
         ("source.encoding", None, '"cp1252"')),
    ],
)  # fmt: skip
def test_the_key_that_differs_is_named(
    project: TrialProject, before: dict[str, str], now: dict[str, str], key: tuple[str, str | None, str | None]
) -> None:
    assert changed_keys(keys_of(project, **before), keys_of(project, **now)) == [ChangedKey(*key)]


def test_what_decides_nothing_about_answers_is_no_key(project: TrialProject) -> None:
    other = {"run": 'route = "batch"', "budget": "max_cost_usd = 2.0", "source": 'type = "files"\ninclude = ["x*"]'}

    assert changed_keys(keys_of(project), keys_of(project, **other)) == []


def texts(before: str, now: str, project: TrialProject) -> list[ChangedKey]:
    (project.root / "a.md").write_text("one {{ doc.text }}")
    (project.root / "b.md").write_text("one {{ doc.text }}")
    (project.root / "c.md").write_text("two {{ doc.text }}")
    return changed_keys(keys_of(project, prompt=before), keys_of(project, prompt=now))


def test_a_text_that_has_moved_has_not_changed(project: TrialProject) -> None:
    assert texts('user_file = "a.md"', 'user_file = "b.md"', project) == []
    assert texts('user_file = "a.md"', 'user = "one {{ doc.text }}"', project) == []


def test_a_changed_text_is_one_key_whose_words_are_not_kept(project: TrialProject) -> None:
    (key,) = texts('user_file = "a.md"', 'user_file = "c.md"', project)

    assert (key.key, key.is_text) == ("prompt.user", True)
    assert [value and value.partition(" ")[2] for value in (key.before, key.now)] == ["a.md", "c.md"]
    assert [one.key for one in texts('user_file = "a.md"', 'user_file = "a.md"\nsystem = "Be brief."', project)] == [
        "prompt.system"
    ]


def test_fields_inside_fields_are_kept(project: TrialProject) -> None:
    entry = 'rows = { type = "array", items = { type = "object", fields = { x = "string", n = { type = "%s" } } } }'

    (key,) = changed_keys(*(keys_of(project, output_fields=entry % kind) for kind in ("number", "integer")))
    assert key.now == (
        '{"items": {"fields": {"n": {"type": "integer"}, "x": {"type": "string"}}, "type": "object"}, "type": "array"}'
    )


def test_examples_are_a_key(project: TrialProject) -> None:
    prompt = 'user = "{{ doc.text }}"\n[[prompt.example]]\ndocument = "a"\noutput = { title = "x" }'

    (key,) = changed_keys(keys_of(project, prompt=prompt), keys_of(project, prompt=prompt.replace('x"', 'y"')))
    assert key.key == "prompt.example"


def test_the_models_of_a_cascade_are_one_key(project: TrialProject) -> None:
    def cascade(second: str) -> dict[str, str]:
        models = f'models = ["claude-haiku-4-5", "{second}"]'
        return keys_of(project, model="max_tokens = 100", cascade=models)

    (key,) = changed_keys(cascade("claude-sonnet-4-5"), cascade("claude-opus-4-5"))
    assert key.key == "cascade.models"


def test_a_long_value_is_kept_as_its_hash(project: TrialProject) -> None:
    def many(last: str) -> str:
        return f"title = {{ enum = {[f'word {n}' for n in range(50)] + [last]} }}"

    (key,) = changed_keys(*(keys_of(project, output_fields=many(last)) for last in ("x", "y")))
    assert (key.key, key.is_text) == ("output.fields.title", True)
