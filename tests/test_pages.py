"""The pages, the README and how to work on the code name what is there."""

import re
from importlib import import_module
from pathlib import Path

import pytest

from pyrodrop.cli import _WORKFLOWS
from pyrodrop.cli.parser import command_parser

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([*(ROOT / "docs").glob("*.md"), *ROOT.glob("*.md"), *(ROOT / "benchmarks").glob("*.md")])
FOLDERS = "pyrodrop|tests|docs|benchmarks|containers|cli|workflows|rendering|models|images|results|detection|joint"

# The name of anything public in a sentence, and the group under which other packages name their profiles.
NO_MODULES = {"pyrodrop.name", "pyrodrop.profiles"}


def is_there(name: str) -> bool:
    """Whether a dotted name leads to a module of the package, or to something in one."""
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        try:
            thing = import_module(".".join(parts[:length]))
        except ImportError:
            continue
        for part in parts[length:]:
            if not hasattr(thing, part):
                return False
            thing = getattr(thing, part)
        return True
    return False


def dotted_names(text: str) -> set[str]:
    """What a text names with dots, of the package; a file of that name is none."""
    names = set(re.findall(r"(?<![\w/.-])pyrodrop(?:\.[A-Za-z_]\w*)+", text))
    return {name for name in names if name.rpartition(".")[2] not in {"css", "png", "sh", "def", "sif"}} - NO_MODULES


def files(text: str) -> set[str]:
    """What a text names as a file or folder of the repository or of the package."""
    return set(re.findall(rf"`((?:{FOLDERS})/[\w./-]*)`", text))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_what_a_page_names_is_there(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert [name for name in dotted_names(text) if not is_there(name)] == []
    assert [name for name in files(text) if not ((ROOT / name).exists() or (ROOT / "pyrodrop" / name).exists())] == []


def test_a_name_that_leads_nowhere_is_seen() -> None:
    assert dotted_names("see `pyrodrop.nowhere.at_all`, pyrodrop.fit(x) and `tests/pyrodrop.png`") == {
        "pyrodrop.nowhere.at_all",
        "pyrodrop.fit",
    }
    assert is_there("pyrodrop.rendering.renderer.render")
    assert not is_there("pyrodrop.nowhere.at_all")
    assert not is_there("pyrodrop.rendering.renderer.nothing")
    assert files("in `pyrodrop/cli/parser.py`, or `x/y`") == {"pyrodrop/cli/parser.py"}


def test_every_command_has_a_function_and_a_section_with_its_help() -> None:
    (commands,) = (action.choices for action in command_parser()._actions if action.dest == "command")
    page = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    assert set(commands or ()) == set(_WORKFLOWS)
    assert set(re.findall(r"^## pyrodrop (\w+)$", page, re.MULTILINE)) == set(_WORKFLOWS)
    assert set(re.findall(r'^help_of\("(\w+)"\)$', page, re.MULTILINE)) == set(_WORKFLOWS)
