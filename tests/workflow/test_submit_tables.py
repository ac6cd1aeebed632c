"""A job over a table: each row is sent once, changed rows alone are sent again, and ids are unique over all files."""

import pytest
from scripted_provider import ScriptedProvider
from trial_project import TrialProject

from batchrun.errors import Refused
from batchrun.outcome import Outcome

SOURCE = 'type = "table"\npath = "*.csv"\nid = "no"\ntext = "{{ doc.subject }}: {{ doc.body }}"'
HEADER = "no,subject,body,customer\n"


@pytest.mark.usefixtures("no_output")
def test_rows_are_sent_once_and_changed_rows_again(project: TrialProject) -> None:
    project.job(source=SOURCE, prompt='user = "{{ doc.text }} from {{ doc.customer }}"')
    (project.root / "a.csv").write_text(f"{HEADER}007,Late,the parcel,Ada\n008,Lost,the other,Bo\n")
    (project.root / "b.csv").write_text(f"{HEADER}009,Broken,the third,Cy\n")
    provider = ScriptedProvider()

    assert project.submit(provider).outcomes == {Outcome.SUCCEEDED: 3}
    assert sorted(provider.sent) == [
        "Broken: the third from Cy", "Late: the parcel from Ada", "Lost: the other from Bo",
    ]  # fmt: skip
    assert set(project.statuses()) == {"007", "008", "009"}

    (project.root / "a.csv").write_text(f"{HEADER}006,New,one,Di\n007,Late,the parcel,Ada\n008,Found,the other,Bo\n")
    provider = ScriptedProvider()
    project.submit(provider)
    assert sorted(provider.sent) == ["Found: the other from Bo", "New: one from Di"]


@pytest.mark.usefixtures("no_output")
def test_an_id_in_two_files_is_refused(project: TrialProject) -> None:
    project.job(source=SOURCE)
    for name in ("a.csv", "b.csv"):
        (project.root / name).write_text(f"{HEADER}007,Late,the parcel,Ada\n")
    with pytest.raises(Refused, match="1 ids stand for more than one document: 007"):
        project.submit(ScriptedProvider())
