"""Shapes and types that modules write with jaxtyping are checked while the tests run.

They are checked when a call has returned, so that what a function refuses at its door it still refuses itself.
"""

import inspect
from collections.abc import Callable
from typing import Any

from beartype import BeartypeConf, beartype
from import_arrows import sources

_CHECKED = beartype(conf=BeartypeConf(is_pep484_tower=True))  # an int is a number, too


def check(function: Callable[..., Any]) -> Callable[..., Any]:
    """The type checker that jaxtyping is given.

    jaxtyping has it check a function's arguments before the call, and arguments and result after it. A function
    that returns Any stands for the first of these.
    """
    return function if inspect.signature(function).return_annotation is Any else _CHECKED(function)


def annotated_modules() -> list[str]:
    """The modules that are written with jaxtyping; not those that Numba compiles, which it could not any more."""
    texts = {name: path.read_text(encoding="utf-8") for name, path in sources().items()}
    return [name for name, text in texts.items() if "from jaxtyping import" in text and "import numba" not in text]
