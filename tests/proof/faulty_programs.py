"""Programs that break one promise each: the proof has to find out. Each runs in a process of its own."""

from dataclasses import replace
from typing import Any

from batchrun.batch import BatchPage
from batchrun.cli import run
from batchrun.execution.batch import reconcile
from batchrun.providers.routing import RoutingBatches
from batchrun.store.ledger.ledger import Ledger
from batchrun.store.ledger.request_refusal import RequestCaps
from batchrun.store.output.output_table import OutputTable


def does_not_look_for_lost_batches(args: list[str]) -> int:
    page = RoutingBatches.page
    reconcile.proves_absence = lambda *_, **__: True

    async def empty(self: RoutingBatches, **named: Any) -> BatchPage:
        return replace(await page(self, **named), batches=())

    RoutingBatches.page = empty  # type: ignore[method-assign]
    return run(args)


def forgets_answers(args: list[str]) -> int:
    settle = Ledger.settle

    def forgetful(self: Ledger, end: Any) -> list[str]:
        if end.attempt_no % 3:
            return settle(self, end)
        self.connection.execute(
            "update attempts set state = 'failed', cost_nusd = 0 where attempt_no = ?", [end.attempt_no]
        )
        return []

    Ledger.settle = forgetful  # type: ignore[method-assign]
    return run(args)


def leaves_out_a_row(args: list[str]) -> int:
    insert = OutputTable.insert

    def leaving_out(self: OutputTable, connection: Any, rows: Any, existing: Any) -> None:
        insert(self, connection, rows[1:], existing)

    OutputTable.insert = leaving_out  # type: ignore[method-assign]
    return run(args)


def asks_no_cap(args: list[str]) -> int:
    RequestCaps.refusal = lambda self, amount: None  # type: ignore[method-assign]
    return run(args)


def has_a_bug(args: list[str]) -> int:
    return run(args) if args[0] == "plan" else 70
