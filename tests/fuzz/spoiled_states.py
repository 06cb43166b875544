"""States of a fit or a measurement in which something is missing, too much or wrong, as hypothesis draws them."""

from collections.abc import Callable
from typing import Any

import torch
from hypothesis import strategies as st

State = dict[str, Any]
NUMBERS = st.one_of(
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.booleans(),
    st.sampled_from([0, 1, -1, 2, 3, 2**31, 2**63 - 1, 2**63, 1e308, 5e-324, 1e-30]),
    st.none().map(lambda _: 10**5_000),  # which Python will not turn into digits, as hypothesis would
)
PLAIN = st.recursive(
    st.one_of(st.none(), NUMBERS, st.text(max_size=8), st.sampled_from(["cpu", "cuda", "auto", "x\ny", "a" * 10_000])),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)),
    max_leaves=5,
)
TYPES = (
    torch.float32,
    torch.float64,
    torch.float16,
    torch.bfloat16,
    torch.int64,
    torch.uint8,
    torch.int8,
    torch.bool,
    torch.complex64,
)


@st.composite
def tensors(draw: st.DrawFn) -> torch.Tensor:
    """Tensors of every kind that a file can hold."""
    shape = draw(st.lists(st.integers(0, 9), max_size=4))
    made = torch.full(shape, draw(st.sampled_from([0.0, 1.0, -1.0, 0.5, 3e38, torch.nan, torch.inf])))
    return draw(st.sampled_from(list(VARIATIONS.values())))(made.nan_to_num(0).to(draw(st.sampled_from(TYPES))))


def poked(level: float, tensor: torch.Tensor) -> torch.Tensor:
    """One of its numbers is another."""
    if not tensor.numel() or tensor.is_sparse or not tensor.dtype.is_floating_point:
        return tensor
    other = tensor.clone(memory_format=torch.contiguous_format)
    other.view(-1)[tensor.numel() // 2] = level
    return other


# From a tensor to one that is not what it was.
VARIATIONS: dict[str, Callable[[torch.Tensor], Any]] = {
    "as it is": lambda t: t,
    "nan": lambda t: poked(torch.nan, t),
    "inf": lambda t: poked(torch.inf, t),
    "-inf": lambda t: poked(-torch.inf, t),
    "3e38": lambda t: poked(3e38, t),
    "-1": lambda t: poked(-1.0, t),
    "1e5": lambda t: poked(1e5, t),
    "negative": lambda t: t if t.dtype in (torch.bool, torch.uint8) else -t,
    "zeros": torch.zeros_like,
    "ones": torch.ones_like,
    "large": lambda t: t if t.dtype == torch.bool else t * 100,
    "half": lambda t: t.half(),
    "double": lambda t: t.double(),
    "whole": lambda t: t.float().nan_to_num(0).clamp(-9, 9).long(),
    "bytes": lambda t: t.float().nan_to_num(0).clamp(0, 9).byte(),
    "complex": lambda t: t.to(torch.complex64),
    "another axis": lambda t: t[None],
    "no axis": lambda t: t.reshape(-1),
    "turned": lambda t: t.transpose(0, -1).contiguous() if t.dim() else t,
    "askew": lambda t: t.transpose(0, -1) if t.dim() else t,
    "shorter": lambda t: t[:-1].clone() if t.dim() else t,
    "narrower": lambda t: t[..., :-1].clone() if t.dim() else t,
    "twice": lambda t: torch.cat([t, t]) if t.dim() else t,
    "twice as wide": lambda t: torch.cat([t, t], -1) if t.dim() else t,
    "empty": lambda t: t.new_empty(0),
    "one number": lambda t: t.reshape(-1)[0].clone() if t.numel() else t,
    "claims terabytes": lambda t: t.new_zeros(1).expand(10**6, 10**6),
    "claims as many rows": lambda t: t[:1].expand(10**9, *t.shape[1:]) if t.dim() and len(t) else t,
    "sparse": lambda t: t.to_sparse() if t.dim() else t,
    "without data": lambda t: t.to("meta"),
    "trainable": lambda t: torch.nn.Parameter(t.float()),
    "a list": lambda t: t.tolist(),
    "text": str,
}


@st.composite
def spoiled_states(draw: st.DrawFn, whole: State) -> Any:
    """A state in which some entries are missing, too many or something else; also those of its dicts."""
    if draw(st.integers(0, 19)) == 0:
        return draw(st.one_of(PLAIN, tensors()))
    state = dict(whole)
    for _ in range(draw(st.integers(1, 2))):
        within = draw(
            st.sampled_from([None, *sorted((k for k, v in state.items() if isinstance(v, dict) and v), key=str)])
        )
        part = state if within is None else dict(state[within])
        names = sorted(name for name in part if isinstance(name, str))
        name = draw(st.sampled_from(names)) if names else "x"
        how = draw(st.sampled_from(["drop", "add", "other", "other", "vary", "vary", "vary", "name", "swap"]))
        if how == "drop":
            part.pop(name, None)
        elif how == "add":
            part[draw(st.text(max_size=6))] = draw(PLAIN)
        elif how == "name":
            part[draw(st.one_of(st.integers(), st.just("é")))] = part.pop(name, None)
        elif how == "swap" and names:
            other = draw(st.sampled_from(names))
            part[name], part[other] = part[other], part[name]
        elif how == "vary" and isinstance(part.get(name), torch.Tensor):
            part[name] = draw(st.sampled_from(sorted(VARIATIONS)).map(VARIATIONS.__getitem__))(part[name])
        else:
            part[name] = draw(st.one_of(PLAIN, NUMBERS, tensors()))
        if within is not None:
            state[within] = part
    return state
