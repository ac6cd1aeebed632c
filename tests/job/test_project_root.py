"""Which folder is the project of a job file, and of a command without one."""

from pathlib import Path

import pytest

from batchrun.job.project_root import mark_of, new_root, root_here, roots_of_job, where_looked


def made(root: Path, *marks: str) -> Path:
    """Make marks, those that end with a slash as folders, and a job file in `a/b/jobs`."""
    (root / "a/b/jobs").mkdir(parents=True)
    for mark in marks:
        path = root / mark
        path.mkdir(parents=True) if mark.endswith("/") else path.touch()
    return root / "a/b/jobs/job.toml"


@pytest.mark.parametrize(
    ("marks", "project"),
    [
        (["a/batchrun.toml"], "a"),
        (["a/.batchrun/"], "a"),
        (["a/.batchrun/", "a/b/batchrun.toml"], "a/b"),
        (["a/batchrun.toml", "a/b/.git/"], "a"),
        (["a/.batchrun/", "a/b/pyproject.toml"], "a"),
        (["a/.git/", "a/b/pyproject.toml"], "a/b"),
        (["elsewhere/", "here/.batchrun/", "a/b/.git/"], "here"),
        (["here/.git/", "a/b/.git/"], "a/b"),
        (["here/pyproject.toml"], "a/b/jobs"),
    ],
)
def test_our_marks_count_before_those_of_others(tmp_path: Path, marks: list[str], project: str) -> None:
    (tmp_path / "here").mkdir()
    job = made(tmp_path, *marks)
    assert roots_of_job(job, here=tmp_path / "here")[0] == tmp_path / project


@pytest.mark.parametrize("here", ["a", "a/b", "a/b/jobs"])
@pytest.mark.parametrize("mark", ["a/batchrun.toml", "a/.batchrun/", "a/.git/", "a/pyproject.toml"])
def test_a_command_finds_the_project_from_any_folder_below(tmp_path: Path, here: str, mark: str) -> None:
    made(tmp_path, mark)
    assert root_here(tmp_path / here) == tmp_path / "a"


def test_where_nothing_is_marked_the_folder_itself_is_the_project(tmp_path: Path) -> None:
    job = made(tmp_path)
    assert root_here(tmp_path) == tmp_path
    assert roots_of_job(job, here=tmp_path) == [job.parent]
    assert mark_of(job.parent) is None


@pytest.mark.parametrize(
    ("marks", "here", "project"),
    [
        ([], ".", "."),
        ([], "a", "a"),
        ([], "elsewhere", "a/b/jobs"),
        (["a/b/jobs/.batchrun/"], ".", "a/b/jobs"),
        (["a/.git/"], ".", "a"),
        (["elsewhere/.batchrun/"], "elsewhere", "elsewhere"),
    ],
)
def test_a_new_job_file_makes_a_project_where_the_person_stands(
    tmp_path: Path, marks: list[str], here: str, project: str
) -> None:
    (tmp_path / "elsewhere").mkdir()
    job = made(tmp_path, *marks)
    assert new_root(job, here=(tmp_path / here).resolve()) == (tmp_path / project).resolve()


def test_where_it_was_looked_for(tmp_path: Path) -> None:
    assert (
        where_looked(Path("/srv/jobs")) == "batchrun.toml, .batchrun/, .git or pyproject.toml in /srv/jobs, /srv and /"
    )


def test_a_folder_that_may_not_be_looked_into_is_no_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(self: Path) -> bool:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "exists", forbidden)
    assert root_here(tmp_path) == tmp_path
