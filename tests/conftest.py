"""What every test gets: the lanes, the path to the images that are not shipped, and a watch over global state.

Before the package is imported, compiled code is kept apart by sources, the shapes in annotations are switched on, and
processes that run side by side share the cores.
"""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import compiled_code

CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
if "PYTEST_XDIST_WORKER_COUNT" in os.environ:  # before torch is imported, which reads it once
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, CORES // int(os.environ["PYTEST_XDIST_WORKER_COUNT"]))))
compiled_code.keep_apart()

import pyro
import pytest
import torch
from checked_shapes import annotated_modules
from jaxtyping import install_import_hook

install_import_hook(annotated_modules(), "checked_shapes.check")

SHARED = Path(__file__).resolve().parents[1].parent / "shared" / "data"
REQUIRE_SHARED = "PYRODROP_REQUIRE_SHARED"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--all", action="store_true", help="run the slow tests, too")


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """A process for each core; none beside this one where a single file is asked for, which has to start sooner."""
    paths = [Path(argument.partition("::")[0]) for argument in config.option.file_or_dir]
    return 0 if len(paths) == 1 and paths[0].is_file() else CORES


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        "global_rng: draws from torch's global random stream or fills Pyro's global parameter store, as stock"
        " Pyro does; both are put back as they were after the test",
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the slow tests out, unless all are asked for, or some by a marker or by name."""
    named = any("::" in argument for argument in config.option.file_or_dir)
    if config.option.all or config.option.markexpr or named:
        return
    slow = [item for item in items if item.get_closest_marker("slow") is not None]
    items[:] = [item for item in items if item.get_closest_marker("slow") is None]
    config.hook.pytest_deselected(items=slow)


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("shared") is not None:
        _need_shared()


@pytest.fixture
def shared() -> Path:
    """The folder of images that are not shipped; skips the test where it is absent, or fails it."""
    _need_shared()
    return SHARED


def _need_shared() -> None:
    if SHARED.is_dir():
        return
    if os.environ.get(REQUIRE_SHARED) == "1":
        pytest.fail(f"{SHARED} does not exist, and {REQUIRE_SHARED}=1 says that it must", pytrace=False)
    pytest.skip("the images in ../shared/data are not here")


class Watched(NamedTuple):
    """One piece of global state: how it is read, put back and compared."""

    read: Callable[[], Any]
    restore: Callable[[Any], Any]
    same: Callable[[Any, Any], bool] = lambda before, after: before == after


def _flushes_denormals() -> bool:
    return bool((torch.full((1,), 1e-39, dtype=torch.float32) * 0.5).item() == 0.0)


def _set_deterministic(state: tuple[bool, bool]) -> None:
    torch.use_deterministic_algorithms(state[0], warn_only=state[1])


def _restore_store(state: Any) -> None:
    pyro.get_param_store().clear()
    pyro.get_param_store().set_state(state)


def _same_store(before: dict[str, Any], after: dict[str, Any]) -> bool:
    """Whether two snapshots of the parameter store hold the same tensors."""
    return before["params"].keys() == after["params"].keys() and all(
        before["params"][name] is value for name, value in after["params"].items()
    )


GLOBAL_STATE = {
    "torch.get_default_dtype()": Watched(torch.get_default_dtype, torch.set_default_dtype),
    "torch.get_default_device()": Watched(torch.get_default_device, lambda _: torch.set_default_device(None)),
    "torch.get_num_threads()": Watched(torch.get_num_threads, torch.set_num_threads),
    "torch.is_grad_enabled()": Watched(torch.is_grad_enabled, torch.set_grad_enabled),
    "torch.is_anomaly_enabled()": Watched(torch.is_anomaly_enabled, torch.autograd.set_detect_anomaly),
    "torch.are_deterministic_algorithms_enabled()": Watched(
        lambda: (
            torch.are_deterministic_algorithms_enabled(),
            torch.is_deterministic_algorithms_warn_only_enabled(),
        ),
        _set_deterministic,
    ),
    "torch.get_float32_matmul_precision()": Watched(
        torch.get_float32_matmul_precision, torch.set_float32_matmul_precision
    ),
    "torch.set_flush_denormal()": Watched(_flushes_denormals, torch.set_flush_denormal),
    "pyro.settings": Watched(pyro.settings.get, lambda settings: pyro.settings.set(**settings)),
}
DRAWN_FROM = {
    "torch.get_rng_state()": Watched(torch.get_rng_state, torch.set_rng_state, torch.equal),
    "pyro.get_param_store()": Watched(lambda: pyro.get_param_store().get_state(), _restore_store, _same_store),
}


@pytest.fixture(autouse=True)
def _global_state_is_left_alone(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail whoever changes global state for everybody else, and put it back so that only they fail."""
    watched = GLOBAL_STATE | DRAWN_FROM
    before = {name: state.read() for name, state in watched.items()}
    yield
    changed = [name for name, state in watched.items() if not state.same(before[name], state.read())]
    for name in changed:
        watched[name].restore(before[name])
    if request.node.get_closest_marker("global_rng") is not None:
        changed = [name for name in changed if name not in DRAWN_FROM]
    if changed:
        advice = "; mark it global_rng if it must" if set(changed) & DRAWN_FROM.keys() else ""
        pytest.fail(f"the test changed {', '.join(changed)} for everybody after it{advice}", pytrace=False)
