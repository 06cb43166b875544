"""The way imports point: one room never looks into another; and what importing leaves alone."""

from graphlib import CycleError, TopologicalSorter
from itertools import pairwise
from pathlib import Path

import pytest
from fresh_python import run_python
from import_arrows import ARROWS, BY_NAME, PARTS, imported, module_name, room, sources, wrong_arrows


@pytest.mark.parametrize("path", sources().values(), ids=module_name)
def test_imports_point_one_way(path: Path) -> None:
    wrong = wrong_arrows(path.read_text(encoding="utf-8"), module_name(path), path.name == "__init__.py")
    assert not wrong, "\n".join(wrong)


def circles(arrows: dict[str, set[str]]) -> list[str]:
    """Modules that import themselves by way of others: what is left when modules without such an import are taken."""
    left = {name: set(targets) for name, targets in arrows.items()}
    while True:
        # Neither the start of a way nor its end lies on a circle.
        ends = {name for name, targets in left.items() if not targets & left.keys()}
        starts = left.keys() - set().union(*left.values()) if left else set()
        if not ends | starts:
            return sorted(left)
        left = {name: targets for name, targets in left.items() if name not in ends | starts}


def test_no_module_imports_itself_by_way_of_others() -> None:
    """Not even for its types: of two such modules neither can be read or tested without the other."""
    paths = sources()
    arrows: dict[str, set[str]] = {}
    for module, path in paths.items():
        if module == "pyrodrop":  # which names what is public, wherever it lives
            continue
        names = {name for _, name in imported(path.read_text(encoding="utf-8"), module, path.name == "__init__.py")}
        modules = {name if name in paths else name.rpartition(".")[0] for name in names}
        arrows[module] = modules & paths.keys() - {"pyrodrop", module}
    assert circles(arrows) == []


def circle(arrows: dict[str, set[str]]) -> list[str]:
    """Rooms of which each imports the next, from one of them back to itself; none where there is no such way."""
    try:
        TopologicalSorter(arrows).prepare()
    except CycleError as error:
        return list(reversed(error.args[1]))
    return []


def test_no_room_reaches_itself_by_way_of_others() -> None:
    """Nor by names in strings: of two such rooms neither is below the other."""
    way = circle({room: targets | BY_NAME.get(room, set()) for room, targets in ARROWS.items()})
    assert not way, " -> ".join(way)


def test_a_circle_of_rooms_is_named() -> None:
    way = circle({"a": {"b"}, "b": {"c"}, "c": {"d", "e"}, "d": {"b"}, "e": set()})
    assert len(way) == 4
    assert way[0] == way[-1]
    assert {*pairwise(way)} == {("b", "c"), ("c", "d"), ("d", "b")}
    assert circle({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == []


def test_a_circle_is_seen() -> None:
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"b", "d"}, "d": set()}) == ["b", "c"]
    assert circles({"a": {"b"}, "b": {"c"}, "c": set()}) == []


def test_every_part_of_the_package_has_its_arrows() -> None:
    assert ARROWS.keys() >= PARTS


def test_every_arrow_leads_from_a_room_to_a_room() -> None:
    """A room that was renamed or removed does not live on as a permission."""
    assert all(room(f"pyrodrop.{name}") == name for name in ARROWS)
    assert set(ARROWS) <= {name.removeprefix("pyrodrop.") for name in sources()}
    assert set().union(*ARROWS.values()) <= ARROWS.keys()


def test_the_longest_name_that_fits_is_the_room() -> None:
    assert room("pyrodrop.workflows.settings") == "workflows"
    assert room("pyrodrop.workflows.fitting.fit.Fit") == "workflows.fitting"
    assert room("pyrodrop.workflows.fittings") == "workflows"
    assert room("pyrodrop.images.simulation") == "images.simulation"
    assert room("pyrodrop") is None


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("pyrodrop.rendering.renderer", "from pyrodrop.models import centres"),
        ("pyrodrop.rendering.renderer", "from ..models import centres"),
        ("pyrodrop.rendering.renderer", "def late():\n    import pyrodrop.models.priors"),
        ("pyrodrop.rendering.renderer", "import importlib\nimportlib.import_module('pyrodrop.inference.svi')"),
        ("pyrodrop.inference.svi", "from pyrodrop import render"),
        ("pyrodrop.results.figures.fit_figures", "from pyrodrop import read_image"),
        ("pyrodrop.images.micrograph", "from pyrodrop.rendering import render"),
        ("pyrodrop.cli", "from pyrodrop.results import plots"),
        ("pyrodrop.cli.parser", "from pyrodrop.workflows.fitting.fit import fit"),
        ("pyrodrop.cli", "COMMANDS = {'fit': ('pyrodrop.workflows.fitting.fit', 'fit')}"),
        ("pyrodrop.workflows.settings", "from pyrodrop.workflows.fitting.fit import fit"),
        ("pyrodrop.workflows.fitting.fit", "from pyrodrop.workflows.measuring.measure import measure"),
        ("pyrodrop.workflows.fitting.fit", "from pyrodrop.workflows import measuring"),
        ("pyrodrop.workflows.measuring.measure", "from ..commands.fit import fit_image"),
        ("pyrodrop.workflows.batch.tasks", "from pyrodrop.workflows.commands.fit import fit_image"),
        ("pyrodrop.detection.propose", "from pyrodrop.images import read_image"),
        ("pyrodrop.images.micrograph", "from pyrodrop.images.simulation.simulate import simulate"),
        ("pyrodrop.images.micrograph", "from pyrodrop.images import simulation"),
        ("pyrodrop.joint.joint_fit", "import pyrodrop\npyrodrop.images.simulation.simulate.simulate()"),
        ("pyrodrop.workflows.fitting.fit", "import pyrodrop\npyrodrop.read_image"),
        ("pyrodrop.results.figures.fit_figures", "import pyrodrop\npyrodrop.models"),
    ],
)
def test_a_wrong_arrow_is_seen(module: str, source: str) -> None:
    assert len(wrong_arrows(source, module)) == 1


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("pyrodrop.cli", "from pyrodrop import __version__\nfrom pyrodrop.workflows.commands.fit import fit_image"),
        ("pyrodrop.workflows.commands.fit", "from pyrodrop.workflows.fitting.fit import fit"),
        ("pyrodrop.workflows.commands.fit", "from pyrodrop.workflows.settings import SettingError"),
        ("pyrodrop.workflows.batch.jobs", "JOBS = {'fit': ('pyrodrop.workflows.commands.fit', 'fit_image')}"),
        ("pyrodrop.detection.propose", "from pyrodrop.images.simulation.simulate import simulate"),
        ("pyrodrop.detection.propose", "import pyrodrop\npyrodrop.images.simulation.simulate.simulate()"),
        ("pyrodrop.workflows.fitting.fit", "import pyrodrop\npyrodrop.__version__"),
        ("pyrodrop.images.simulation.simulate", "from pyrodrop.rendering import render"),
        ("pyrodrop.rendering.renderer", "from .reference import PROFILES\nimport torch, pyro"),
    ],
)
def test_a_right_arrow_is_let_through(module: str, source: str) -> None:
    assert wrong_arrows(source, module) == []


LEAVES_ALONE = """
import os, random, signal, sys, warnings
import matplotlib, numpy, pyro, torch, torchvision
import scipy.ndimage, scipy.sparse.linalg, scipy.stats  # SciPy filters a warning of its own when it is imported

def state():
    return {
        "default dtype": torch.get_default_dtype(),
        "default device": torch.get_default_device(),
        "threads": (torch.get_num_threads(), torch.get_num_interop_threads()),
        "torch's random stream": torch.get_rng_state().tolist(),
        "numpy's random stream": str(numpy.random.get_state()),
        "Python's random stream": random.getstate(),
        "grad mode": (torch.is_grad_enabled(), torch.is_inference_mode_enabled(), torch.is_anomaly_enabled()),
        "determinism": torch.are_deterministic_algorithms_enabled(),
        "denormal numbers": (torch.full((1,), 1e-39, dtype=torch.float32) * 0.5).item(),
        "matrix products": torch.get_float32_matmul_precision(),
        "printing": str(vars(torch._tensor_str.PRINT_OPTS)),
        "Pyro's settings": pyro.settings.get(),
        "Pyro's parameter store": sorted(pyro.get_param_store().keys()),
        "matplotlib's settings": {name: str(matplotlib.rcParams._get(name)) for name in matplotlib.rcParams},
        "environment": dict(os.environ),
        "warnings shown": [str(entry) for entry in warnings.filters],
        "signals": [str(signal.getsignal(number)) for number in signal.valid_signals()],
    }

before = state()
import pyrodrop
for name in pyrodrop.__all__:
    getattr(pyrodrop, name)
after = state()
print([name for name in before if before[name] != after[name]])
"""


def test_importing_changes_nothing_global() -> None:
    """Every public name is touched, since a name may be imported only when it is asked for."""
    run = run_python("-c", LEAVES_ALONE)
    assert run.returncode == 0, run.stderr
    assert run.stdout.strip() == "[]"


def test_what_takes_long_to_import_waits_until_it_is_used() -> None:
    """Fitting and drawing need torch and Pyro, and nothing else that takes long; the package itself not even those."""
    slow = ("torch", "pyro", "pandas", "scipy", "numba", "matplotlib", "skimage", "dask", "distributed")
    code = f"""
import sys
import pyrodrop
print([name for name in {slow} if name in sys.modules])
import torch, pyro
before = set(sys.modules)
pyrodrop.fit, pyrodrop.render, pyrodrop.read_image, pyrodrop.simulate, pyrodrop.sample_nuts, pyrodrop.load
print([name for name in {slow} if name in sys.modules and name not in before])
"""
    run = run_python("-c", code)
    assert run.stdout.split("\n") == ["[]", "[]", ""], run.stderr
