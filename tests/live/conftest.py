"""Live tests run only when they are asked for, pytest -m live, and speak to real servers."""

import pytest


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave live tests out, whatever else `-m` says, unless it says `live`."""
    if "live" in config.option.markexpr.split():
        return
    live = [item for item in items if item.get_closest_marker("live")]
    items[:] = [item for item in items if item not in live]
    config.hook.pytest_deselected(items=live)


@pytest.fixture(scope="session", autouse=True)
def one_certificate() -> None:
    """Real servers have certificates of all makers, where other tests trust a single one."""
