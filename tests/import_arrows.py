"""Which room of the package may import which, and what a module's source says that it imports.

The page ``docs/architecture.md`` is drawn from this, and ``test_imports.py`` holds the package to it.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1] / "pyrodrop"

# A room, and the rooms that it may import. The longest name that fits a module is its room, and likewise for what it
# imports: "images" does not open "images.simulation". Within a room every module may import every other.
ARROWS: dict[str, set[str]] = {
    "cli": {"workflows", "workflows.commands", "workflows.batch"},
    # models: priors and noise among the settings
    "workflows": {"images", "results", "rendering", "models"},
    "workflows.commands": {
        "images",
        "images.simulation",
        "results",
        "workflows",
        "workflows.fitting",
        "workflows.measuring",
        "workflows.learning",
        "workflows.appearance",
        "workflows.tiles",
        "workflows.samples",
        "workflows.tracking",
        "models",
        "inference",
    },
    # models, inference: how paths move is a Pyro model, learnt from the stack
    "workflows.tracking": {
        "images",
        "results",
        "workflows",
        "workflows.measuring",
        "workflows.cluster",
        "models",
        "inference",
    },
    # workflows.samples: images of a sheet, pooled by sample
    "workflows.batch": {"images", "results", "workflows", "workflows.samples", "workflows.cluster"},
    "workflows.cluster": {"workflows"},
    # joint, models, rendering: droplets as they look are fitted by the joint engine, and drawn by the renderer
    "workflows.appearance": {"images", "results", "workflows", "workflows.measuring", "joint", "models", "rendering"},
    # recognition: how much doubt the droplets of all tiles share
    "workflows.tiles": {"images", "results", "workflows", "workflows.measuring", "recognition"},
    # detection: what the circles of some parts of an image say of its droplets and clutter (workflows.measuring.parts)
    "workflows.measuring": {
        "images",
        "results",
        "workflows",
        "recognition",
        "joint",
        "models",
        "rendering",
        "detection",
    },
    "workflows.fitting": {"images", "results", "workflows", "inference", "models", "pursuit", "rendering"},
    # detection: how a network learns, and from what
    "workflows.learning": {"images", "results", "workflows", "workflows.measuring", "detection", "rendering"},
    # recognition: how much doubt the droplets of an image share
    "workflows.samples": {
        "images",
        "results",
        "workflows",
        "workflows.measuring",
        "recognition",
        "inference",
        "models",
    },
    # results: the distribution of a count, of whose shared doubt recognition learns how large it is
    "recognition": {"detection", "joint", "models", "rendering", "results"},
    "detection": {"images.simulation", "rendering", "pursuit"},
    "joint": {"models", "rendering"},
    "pursuit": {"joint", "models", "rendering"},  # a guest: fitting and detection use it until they can do without
    "models": {"rendering"},
    "images": set(),
    "images.simulation": {"images", "models", "rendering"},
    "rendering": set(),
    "inference": set(),
    "results": set(),
}
# What a room knows by name only: modules in strings, which are imported when they are needed.
BY_NAME: dict[str, set[str]] = {"workflows.batch": {"workflows.commands"}}
PARTS = {
    path.name.removesuffix(".py")
    for path in PACKAGE.iterdir()
    if not path.name.startswith("_") and (path.is_dir() or path.suffix == ".py")
}


def module_name(path: Path) -> str:
    """The dotted name of a file in the package."""
    return ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")


def sources() -> dict[str, Path]:
    """Every module of the package, by its dotted name."""
    return {module_name(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def room(name: str) -> str | None:
    """The room of a module, or of a name in one: the longest key of ARROWS that fits. None outside of all rooms."""
    fitting = (key for key in ARROWS if f"{name}.".startswith(f"pyrodrop.{key}."))
    return max(fitting, key=len, default=None)


def imported(source: str, module: str, is_package: bool) -> Iterator[tuple[int, str]]:
    """Every name that a module imports, at whatever depth and in full, with its line."""
    tree = ast.parse(source)
    within = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parent = module.split(".")
            parent = parent[: len(parent) - node.level + is_package] if node.level else []
            base = ".".join([*parent, *([node.module] if node.module else [])])
            yield from ((node.lineno, f"{base}.{alias.name}") for alias in node.names)
        elif isinstance(node, ast.Attribute) and id(node) not in within:
            dotted = ast.unparse(node)
            if dotted.startswith("pyrodrop."):
                yield node.lineno, dotted  # after a bare "import pyrodrop", which leads everywhere


def named(source: str) -> Iterator[tuple[int, str]]:
    """Every module of the package that stands in a string, to be imported later, with its line."""
    for node in ast.walk(ast.parse(source)):
        text = node.value if isinstance(node, ast.Constant) else None
        if isinstance(text, str) and re.fullmatch(r"pyrodrop(\.[a-z_]\w*)+", text):
            yield node.lineno, text


def wrong_arrows(source: str, module: str, is_package: bool = False) -> list[str]:
    """The imports of a module that ARROWS does not allow, each with its line."""
    own = room(module)
    if own is None:
        return []
    wrong = []
    for line, name in imported(source, module, is_package):
        root, _, rest = name.partition(".")
        part = rest.partition(".")[0]
        if root != "pyrodrop" or part.startswith("_"):
            continue
        if part in PARTS:
            target = room(name)
            if target != own and target not in ARROWS[own]:
                wrong.append(f"line {line} of {module} imports {name}, and {own} may not import {target}")
        elif part:
            wrong.append(f"line {line} of {module} imports {name} by way of the package, which hides where it lives")
    for line, name in named(source):
        target = room(name)
        if target not in {own, None} | ARROWS[own] | BY_NAME.get(own, set()):
            wrong.append(f"line {line} of {module} names {name}, and {own} may not import {target}")
    return wrong


def room_imports() -> dict[tuple[str, str], int]:
    """How many times a module of one room imports from another, for each pair of rooms that has any."""
    counts: dict[tuple[str, str], int] = {}
    for module, path in sources().items():
        own = room(module)
        source = path.read_text(encoding="utf-8")
        names = {name for _, name in (*imported(source, module, path.name == "__init__.py"), *named(source))}
        for name in names:
            target = room(name)
            if own is not None and target is not None and target != own:
                counts[own, target] = counts.get((own, target), 0) + 1
    return counts
