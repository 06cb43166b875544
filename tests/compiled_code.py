"""Where Numba keeps the code that it compiles for the tests: a folder for each state of the sources.

Numba looks at the file of a compiled function, and not at the files of the functions and numbers that it takes in.
After a change to those it would go on with old code; a folder of another name has none.
"""

import hashlib
import os
import re
from pathlib import Path

from import_arrows import imported, sources

FOLDER = Path(__file__).resolve().parents[1] / ".numba_cache"


def compiled_sources(texts: dict[str, str]) -> set[str]:
    """The modules that hold compiled code, and all that they import, of modules by name with their source."""
    reached: set[str] = set()
    left = {name for name, text in texts.items() if re.search(r"^(import|from) numba", text, re.MULTILINE)}
    while left:
        module = left.pop()
        reached.add(module)
        for _, name in imported(texts[module], module, is_package=False):
            left |= {found for found in (name, name.rpartition(".")[0]) if found in texts} - reached - {"pyrodrop"}
    return reached


def digest(texts: dict[str, str]) -> str:
    """What names the state of the compiled code, of modules by name with their source."""
    total = hashlib.sha256()
    for name in sorted(compiled_sources(texts)):
        total.update(f"{name}\0{texts[name]}\0".encode())
    return total.hexdigest()[:16]


def keep_apart() -> None:
    """Set NUMBA_CACHE_DIR to the folder of these sources; before numba is imported, which reads it once."""
    name = digest({module: path.read_text(encoding="utf-8") for module, path in sources().items()})
    base = Path(os.environ.get("NUMBA_CACHE_DIR") or FOLDER)
    if base.name != name:  # the processes of pytest-xdist inherit what the first has set
        os.environ["NUMBA_CACHE_DIR"] = str(base / name)
