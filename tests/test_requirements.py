"""What the package imports, it asks for; and what it asks for, it uses."""

import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from import_arrows import imported, sources

PROJECT = tomllib.loads((Path(__file__).resolve().parents[1] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
# triton compiles for a GPU and comes with the torch that has one; magicgui with napari, which asks for the widget.
BROUGHT = {"triton", "magicgui"}
# Asked for by others: arviz writes NetCDF through h5netcdf and h5py, pyro.render_model draws with graphviz.
USED_BY_NAME = {"h5netcdf", "h5py", "graphviz"}


def distributions(requirements: list[str]) -> set[str]:
    """The names of requirements such as "zarr>=3", as package indexes compare them."""
    return {re.sub(r"[-_.]+", "-", re.split(r"[\s\[<>=!~;]", line)[0]).lower() for line in requirements}


def undeclared(modules: set[str], declared: set[str]) -> set[str]:
    """Top-level modules that no declared distribution brings."""
    homes = packages_distributions()
    return {name for name in modules if not distributions(homes.get(name, [])) & declared}


def third_party() -> set[str]:
    """The top-level modules outside of the standard library that the package imports, at whatever depth."""
    return {
        name.partition(".")[0]
        for module, path in sources().items()
        for _, name in imported(path.read_text(encoding="utf-8"), module, path.name == "__init__.py")
    } - {"pyrodrop", *sys.stdlib_module_names}


ALWAYS = distributions(PROJECT["dependencies"])
EXTRAS = distributions(
    [
        line
        for name in ("nd2", "video", "bayes", "parquet", "zarr", "graph", "xlsx")
        for line in PROJECT["optional-dependencies"][name]
    ]
)


def test_every_import_is_declared() -> None:
    assert undeclared(third_party() - BROUGHT, ALWAYS | EXTRAS) == set()


def test_what_only_an_extra_brings_is_imported_late() -> None:
    """The package can be imported without any extra: such a module is named inside of functions only."""
    extras = {name for name in third_party() if undeclared({name}, ALWAYS) and name not in BROUGHT}
    assert extras == {"nd2", "av", "arviz", "xarray", "pyarrow", "zarr", "openpyxl"}
    for path in sources().values():
        for line in path.read_text(encoding="utf-8").splitlines():
            late = re.match(r"(?:import|from) (\w+)", line)
            assert late is None or late[1] not in extras, f"{path.name}: {line}"


def test_every_requirement_is_used() -> None:
    homes = packages_distributions()
    used = set().union(*(distributions(homes.get(name, [])) for name in third_party())) | USED_BY_NAME
    assert (ALWAYS | EXTRAS) - {"jaxtyping"} - used == set()


@pytest.mark.parametrize(("declared", "missing"), [({"numpy"}, {"torch"}), ({"numpy", "torch"}, set())])
def test_an_import_that_is_not_declared_is_seen(declared: set[str], missing: set[str]) -> None:
    assert undeclared({"numpy", "torch"}, declared) == missing
