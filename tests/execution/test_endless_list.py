"""The list of batches is read to a bound: a list that never ends decides nothing, and does not hold up the run."""

from dataclasses import dataclass
from pathlib import Path

from failure_bench import LOST, BatchBench

from batchrun.batch import BatchPage, RemoteBatch
from batchrun.execution.batch.find_lost import MOST_PAGES


@dataclass
class EndlessList(BatchBench):
    """An API whose list of batches has always another page of other batches."""

    pages: int = 0

    async def page(self, *, model: str = "", after_id: str | None = None, limit: int = 1000) -> BatchPage:
        self.pages += 1
        if limit == 1:
            return BatchPage((), has_more=False)
        one = RemoteBatch(batch_id=f"other_{self.pages}", status="ended", counts={}, created_at=self.now)
        return BatchPage((one,), has_more=True)


def test_a_list_without_end_is_left_and_decides_nothing(tmp_path: Path) -> None:
    bench = EndlessList(tmp_path, ["a"])
    bench.refused["create"] = LOST
    bench.run()
    bench.pages = 0
    bench.run()

    assert bench.pages == MOST_PAGES
    assert bench.ask("select state, batch_id from batches") == [("prepared", None)]
    assert bench.statuses == {"a": "pending"}
