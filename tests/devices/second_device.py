"""A second device that computes on the CPU and refuses to mix with it, for tests of code for a GPU without one.

Its tensors hold values on the CPU, on which each operation is run, and raise where CUDA would: tensors of two devices
in one operation, a generator of the other device, indices of this device into a tensor of the CPU, an operator that
only the CPU has, NumPy. Tensors of the CPU without dimensions may take part, as on CUDA. What makes the host wait for
the device is counted. To set it up is for good, so it is done in a process of its own.
"""

import hashlib
from collections import Counter
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.fx.experimental import proxy_tensor
from torch.utils import _pytree as pytree
from torch.utils._mode_utils import no_dispatch
from torch.utils.backend_registration import _DummyBackendModule, _setup_privateuseone_for_python_backend

NAME = "second_device"  # of which torch makes methods of all modules: none has one of this name
WAITS: Counter[str] = Counter()
"""How often the host had to wait for the device, by the name of the operation."""

# The shape of the result hangs on values, or these become a Python number.
_READ_BY_HOST = {
    "_local_scalar_dense",
    "_unique2",
    "equal",
    "is_nonzero",
    "masked_select",
    "nonzero",
    "repeat_interleave",
    "unique_consecutive",
    "unique_dim",
}
_STATES: dict[bytes, Tensor] = {}  # of generators, by what stands for them
_MOVES = {"_copy_from", "_to_copy", "copy_"}
_SECOND_SEEDS = 1 << 62  # seeds from here on are those of the second device
_INDEXED = {"index", "index_put", "index_put_", "_index_put_impl_", "_unsafe_index"}


class MixedError(RuntimeError):
    """An operation that CUDA would refuse."""


class SecondTensor(Tensor):
    """A tensor of the second device, which holds its values on the CPU."""

    held: Tensor

    @staticmethod
    def __new__(cls, held: Tensor) -> "SecondTensor":
        made = Tensor._make_wrapper_subclass(
            cls,
            held.shape,
            strides=held.stride(),
            storage_offset=held.storage_offset(),
            dtype=held.dtype,
            device=torch.device(NAME, 0),
        )
        made.held = held
        return made

    @classmethod
    def __torch_dispatch__(cls, op: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(op, args, kwargs or {})

    def tolist(self) -> Any:
        """Torch refuses this to subclasses; a device waits for it."""
        return self.cpu().tolist()

    def __repr__(self, **_: Any) -> str:
        return f"{self.held}".removesuffix(")") + f", device='{NAME}:0')"


class SecondGenerator(torch.Generator):
    """Random numbers of a device, with a state of another length than the CPU's, which no CPU can go on with.

    Torch hands operators another Python object than this one: it is known again by its seed.
    """

    def __new__(cls, device: Any = "cpu") -> Any:
        made = super().__new__(cls)
        made.is_second = torch.device(device).type == NAME
        return made.manual_seed(made.initial_seed())

    @property
    def device(self) -> torch.device:
        """Of the numbers."""
        return torch.device(NAME, 0) if self.is_second else torch.device("cpu")

    def manual_seed(self, seed: int) -> Any:
        """Begin anew."""
        return super().manual_seed(seed % _SECOND_SEEDS + _SECOND_SEEDS * self.is_second)

    def get_state(self) -> Tensor:
        """A byte tensor of the CPU, of 16 bytes for the second device, as CUDA has it."""
        state = super().get_state()
        if not self.is_second:
            return state
        token = hashlib.sha256(state.numpy().tobytes()).digest()[:16]
        _STATES[token] = state
        return torch.frombuffer(bytearray(token), dtype=torch.uint8)

    def set_state(self, state: Tensor) -> Any:
        """Go on from a state of this device."""
        return super().set_state(_STATES[state.numpy().tobytes()] if self.is_second else state)


class _Backend(_DummyBackendModule):
    def get_amp_supported_dtype(self) -> list[torch.dtype]:
        return [torch.bfloat16]


def set_up() -> None:
    """Make NAME the name of a device of this process."""
    _setup_privateuseone_for_python_backend(NAME, backend_module=_Backend())
    library = torch.library.Library("aten", "IMPL")
    for name in torch._C._dispatch_get_all_op_names():
        if name.startswith("aten::") and (op := _factory(name)) is not None:
            library.impl(name.removeprefix("aten::"), _on_second(op), "PrivateUse1")
    library.impl("_copy_from", _copy_from, "PrivateUse1")
    set_up.library = library  # which forgets all of it when it goes
    torch.Generator = SecondGenerator
    # Else a tensor that is no argument of what is traced, such as a bound of a prior, would not be traced, nor all that
    # it takes part in.
    proxy_tensor.HANDLED_TYPES = (*proxy_tensor.HANDLED_TYPES, SecondTensor)


def _factory(name: str) -> Any:
    """The operator of that name, if it makes one tensor of none."""
    packet, _, overload = name.removeprefix("aten::").partition(".")
    op = getattr(getattr(torch.ops.aten, packet), overload or "default", None)
    if op is None:
        return None
    types = [str(argument.type) for argument in op._schema.arguments]
    makes = [str(made.type) for made in op._schema.returns] == ["Tensor"]
    on_device = any(argument.name == "device" for argument in op._schema.arguments)
    return op if makes and on_device and not any("Tensor" in kind for kind in types) else None


def _on_second(op: Any) -> Callable[..., Tensor]:
    def make(*args: Any, **kwargs: Any) -> Tensor:
        _check_generators(op, kwargs.values())
        return SecondTensor(op(*args, **{**kwargs, "device": torch.device("cpu")}))

    return make


def _copy_from(source: Tensor, target: Any, non_blocking: bool = False) -> Tensor:
    """What ``torch.tensor(..., device=...)`` calls, past all that a subclass sees."""
    _run(torch.ops.aten.copy_.default, (target, source, non_blocking), {})
    return target


def _run(op: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """The operation on what its tensors hold."""
    name = op._schema.name.removeprefix("aten::")
    leaves, spec = pytree.tree_flatten((args, kwargs))
    if not op._schema.name.startswith("aten::"):
        raise MixedError(f"{op} is an operator of the CPU alone")
    tensors = [leaf for leaf in leaves if isinstance(leaf, Tensor)]
    _check_tensors(op, name, args, tensors)
    to = kwargs.get("device")
    moves = name in _MOVES and (
        any(not isinstance(t, SecondTensor) for t in tensors) or (to is not None and to.type == "cpu")
    )
    by_mask = name in _INDEXED and any(t.dtype in (torch.bool, torch.uint8) for t in args[1] if t is not None)
    brought = name in _INDEXED and any(not isinstance(t, SecondTensor) for t in args[1] if t is not None)
    if name in _READ_BY_HOST or by_mask or brought or (moves and not kwargs.get("non_blocking")):
        WAITS[name] += 1
    _check_generators(op, leaves)
    wrappers = {id(t.held): t for t in tensors if isinstance(t, SecondTensor)}
    held = [t.held if isinstance(t, SecondTensor) else t for t in leaves]
    inner_args, inner_kwargs = pytree.tree_unflatten(held, spec)
    if "device" in inner_kwargs:
        inner_kwargs["device"] = torch.device("cpu")
    result = op(*inner_args, **inner_kwargs)
    if to is not None and to.type == "cpu":
        # A copy, as of two memories.
        return result
    if name == "copy_" and not isinstance(args[0], SecondTensor):
        return args[0]

    if torch.Tag.inplace_view in op.tags:  # which changes the shape of its argument
        with no_dispatch():
            op(*args, **kwargs)

    def wrapped(made: Any) -> Any:
        if not isinstance(made, Tensor):
            return made
        known = wrappers.get(id(made))
        return SecondTensor(made) if known is None else known

    return pytree.tree_map(wrapped, result)


def _check_tensors(op: Any, name: str, args: Any, tensors: list[Tensor]) -> None:
    """Raise for tensors of two devices, but for those that CUDA takes, too."""
    if name in ("_copy_from", "copy_"):
        return
    others = [t for t in tensors if not isinstance(t, SecondTensor)]
    if name in _INDEXED:
        indices = {id(t) for t in args[1] if t is not None}
        if isinstance(args[0], SecondTensor):  # an index may come from the CPU
            others = [t for t in others if id(t) not in indices]
    if any(t.dim() for t in others) or (others and name in ("cat", "stack")):
        raise MixedError(f"{op} is given tensors of two devices, {NAME}:0 and cpu")


def _check_generators(op: Any, leaves: Any) -> None:
    for leaf in leaves:
        if isinstance(leaf, torch._C.Generator) and leaf.initial_seed() < _SECOND_SEEDS:
            raise MixedError(f"{op} is given a generator of the cpu for tensors of {NAME}:0")
