"""Counters that several threads of compiled code share: whose task is next, and how many tasks are done."""

import os
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic as _intrinsic

# Numba's own signature speaks of the compiler's call, not of the caller's.
intrinsic: Any = _intrinsic

# Numbers between two counters, so that they lie on different lines of the cache.
APART = 16

# Lets another thread have the processor. On Windows, where there is no such function, a thread that waits keeps it.
CAN_YIELD = os.name == "posix"
sched_yield: Any = types.ExternalFunction("sched_yield", types.int32())


def _add(builder: Any, address: Any, amount: int, ordering: str) -> Any:
    pointer = builder.inttoptr(address, ir.IntType(64).as_pointer())
    return builder.atomic_rmw("add", pointer, ir.Constant(ir.IntType(64), amount), ordering)


@intrinsic
def take_ticket(typingctx: Any, counter: Any) -> Any:
    """The value of the counter at an address, which is then one more: hands each task to exactly one thread."""

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return _add(builder, args[0], 1, "monotonic")

    return types.int64(types.intp), build


@intrinsic
def count_done(typingctx: Any, counter: Any) -> Any:
    """Add one to the counter at an address; who reads it with ``number_done`` sees all that was written before."""

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return _add(builder, args[0], 1, "release")

    return types.int64(types.intp), build


@intrinsic
def number_done(typingctx: Any, counter: Any) -> Any:
    """The counter at an address."""

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = builder.inttoptr(args[0], ir.IntType(64).as_pointer())
        return builder.load_atomic(pointer, "acquire", 8)

    return types.int64(types.intp), build
