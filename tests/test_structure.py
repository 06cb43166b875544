"""The house stays one in which a reader finds things: small files, small folders, few arguments, and words at doors."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from import_arrows import PACKAGE, sources

TESTS = Path(__file__).resolve().parent
MOST_MODULES = 15
MOST_LINES = 300
MOST_LINES_OF_TESTS = 350
MOST_ARGUMENTS = 10
# Functions that take more, each with the reason.
MANY_ARGUMENTS = {
    "pyrodrop.images.simulation.simulate.simulate": "settings of a picture, each with a default and most by name",
    "pyrodrop.inference.nuts.sample_nuts": "settings of a sampler, each with a default and by name",
    "pyrodrop.workflows.commands.measure.measure_image": "settings of a command, each with a default and by name",
    "pyrodrop.workflows.commands.stacks.track.track_stack": "settings of a command, each with a default and by name",
    "pyrodrop.workflows.fitting.fit.fit": "settings of a fit, each with a default and by name",
    "pyrodrop.workflows.measuring.measure.measure": "settings of a measurement, each with a default and by name",
    "pyrodrop.workflows.tiles.measure_tiles.measure_tiles": "settings of a command, each with a default and by name",
}
MANY_ARGUMENTS |= {
    f"pyrodrop.rendering.kernels.tiles_triton.{name}": "compiled by Triton, whose kernels take pointers and numbers"
    for name in ("list_bands", "draw_tiles", "gather_gradients")
}
# Words that say nothing of what a file holds.
SAYS_NOTHING = {"utils", "util", "helpers", "helper", "common", "misc", "manager"}


def arguments(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """How many arguments a function takes, without the object or class that a method belongs to."""
    given = function.args
    names = [argument.arg for argument in given.posonlyargs + given.args + given.kwonlyargs]
    return len(names) - (names[:1] in (["self"], ["cls"])) + (given.vararg is not None) + (given.kwarg is not None)


def functions(source: str, module: str) -> Iterator[tuple[str, int]]:
    """Every function in a module, by its dotted name, with the number of its arguments."""

    def inside(node: ast.AST, prefix: str) -> Iterator[tuple[str, int]]:
        for child in ast.iter_child_nodes(node):
            name = f"{prefix}.{child.name}" if hasattr(child, "name") else prefix
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
                yield name, arguments(child)
            yield from inside(child, name)

    return inside(ast.parse(source), module)


def too_many_arguments() -> dict[str, int]:
    return {
        name: number
        for module, path in sources().items()
        for name, number in functions(path.read_text(encoding="utf-8"), module)
        if number > MOST_ARGUMENTS
    }


def over(numbers: dict[str, int], most: int) -> dict[str, int]:
    """What is over a limit."""
    return {name: number for name, number in numbers.items() if number > most}


def lines(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())


def test_no_folder_holds_too_many_modules() -> None:
    counts: dict[str, int] = {}
    for name, path in sources().items():
        if path.name != "__init__.py":
            counts[name.rpartition(".")[0]] = counts.get(name.rpartition(".")[0], 0) + 1
    assert over(counts, MOST_MODULES) == {}


def test_no_module_is_too_long() -> None:
    assert over({name: lines(path) for name, path in sources().items()}, MOST_LINES) == {}


def test_no_test_file_is_too_long() -> None:
    assert over({str(path.relative_to(TESTS)): lines(path) for path in TESTS.rglob("*.py")}, MOST_LINES_OF_TESTS) == {}


def test_no_function_takes_too_many_arguments() -> None:
    many = {name: number for name, number in too_many_arguments().items() if name not in MANY_ARGUMENTS}
    assert over(many, MOST_ARGUMENTS) == {}


def test_no_reason_outlives_its_function() -> None:
    assert MANY_ARGUMENTS.keys() <= too_many_arguments().keys()


@pytest.mark.parametrize(
    ("source", "number"),
    [
        ("def f(a, b, /, c, *, d): ...", 4),
        ("def f(*a, **b): ...", 2),
        ("class C:\n    def f(self, a): ...", 1),
        ("def f():\n    def g(a, b, c): ...", 3),
    ],
)
def test_every_kind_of_argument_counts(source: str, number: int) -> None:
    assert list(functions(source, "m"))[-1][1] == number


def test_every_room_says_at_its_door_what_it_is_for() -> None:
    silent = [
        name
        for name, path in sources().items()
        if path.name == "__init__.py" and not ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    ]
    assert silent == []


def test_every_module_says_in_its_first_line_what_it_holds() -> None:
    silent = [
        name
        for name, path in sources().items()
        if path.name != "__init__.py" and not ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    ]
    assert silent == []


def test_names_of_modules_say_something() -> None:
    assert [name for name in sources() if set(name.split(".")[-1].split("_")) & SAYS_NOTHING] == []


def test_every_folder_of_tests_has_the_name_of_a_folder_of_the_package() -> None:
    """Or is about the package as a whole."""
    whole = {"devices", "faults", "fuzz", "real"}
    folders = {path.parent.relative_to(TESTS) for path in TESTS.rglob("test_*.py")} - {Path()}
    strange = {str(folder) for folder in folders if folder.parts[0] not in whole and not (PACKAGE / folder).is_dir()}
    assert strange == set()


def test_what_is_over_a_limit_is_seen() -> None:
    assert over({"pyrodrop.long": 301, "pyrodrop.short": 300}, 300) == {"pyrodrop.long": 301}
