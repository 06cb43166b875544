"""A program of its own, so that a hang or a full memory stays in it: spoils checkpoints and loads them.

``python spoiling.py FOLDER COUNT SEED`` prints one JSON object: how many were loaded and refused, the most memory that
loading one took, and what went wrong. Each is named in FOLDER/now before it is loaded.
"""

import io
import json
import os
import pickle
import random
import resource
import sys
import warnings
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

import pyrodrop
from pyrodrop.workflows.fit import Fit

sys.path.insert(0, str(Path(__file__).parents[1] / "images"))
from damaging import damaged

MEMORY = 2**30
# Of what is loaded, so many are also resumed, which takes a hundred times as long.
RESUMED = 0.03

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


def packed(state: Any) -> bytes:
    stream = io.BytesIO()
    torch.save(state, stream)
    return stream.getvalue()


class Code:
    """Pickled, it is a call: whoever unpickles it makes the call."""

    def __init__(self, call: Callable[..., Any], *arguments: Any) -> None:
        self.call = call
        self.arguments = arguments

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return self.call, self.arguments


def with_code(whole: State, marker: Path) -> dict[str, bytes]:
    """Checkpoints that would write a file, if anything in them were ever run."""
    write = f"open({str(marker)!r}, 'w').close()"
    calls = {
        "os.system": Code(os.system, f"touch {marker}"),
        "eval": Code(eval, write),
        "exec": Code(exec, write),
        "open": Code(open, str(marker), "w"),
        "mkdir": Code(os.mkdir, str(marker)),
        "torch.save": Code(torch.save, {}, str(marker)),
    }
    made: dict[str, bytes] = {}
    for name, call in calls.items():
        made[f"{name} as the state"] = packed(call)
        made[f"{name} as a further entry"] = packed(whole | {"further": call})
        made[f"{name} as the channel"] = packed(whole | {"channel": call, "channels": call})
        made[f"{name} as a name"] = packed({call: 1, **whole})
        made[f"{name} bare"] = pickle.dumps(whole | {"further": call})
        legacy = io.BytesIO()
        torch.save(whole | {"further": call}, legacy, _use_new_zipfile_serialization=False)
        made[f"{name} in the old way"] = legacy.getvalue()
    return made


def rezipped(content: bytes, change: Callable[[str, bytes], bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    """The archive with other contents, whose check sums are right."""
    stream = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(stream, "w", compression) as new:
        for name in old.namelist():
            new.writestr(name, change(name, old.read(name)))
    return stream.getvalue()


def unusual(content: bytes, state: State) -> dict[str, bytes]:
    """Files that are no checkpoint, or one in an unusual way."""
    nested: Any = []
    for _ in range(60):  # 2**60 items when written out, and 60 in memory
        nested = [nested, nested]
    deep: Any = []
    for _ in range(20_000):
        deep = [deep]
    doubled = io.BytesIO(content)
    with warnings.catch_warnings(), zipfile.ZipFile(doubled, "a") as archive:
        warnings.simplefilter("ignore")
        archive.writestr(archive.namelist()[0], b"something else")
    recursion = sys.getrecursionlimit()
    sys.setrecursionlimit(10**6)
    made = {
        "empty": b"",
        "one byte": b"P",
        "only the mark of a zip": b"PK\x03\x04",
        "an empty zip": b"PK\x05\x06" + bytes(18),
        "text": b"x_px,y_px\n1,2\n",
        "zeros": bytes(10_000),
        "in front of it": b"#!/bin/sh\n" + content,
        "behind it": content + b"x" * 1000,
        "an entry twice": doubled.getvalue(),
        "deflated": rezipped(content, lambda _, data: data, zipfile.ZIP_DEFLATED),
        "a bomb of zeros": rezipped(content, lambda name, d: bytes(2**28) if name.endswith("/0") else d, 8),
        "a bomb of bzip2": rezipped(content, lambda name, d: bytes(2**26) if name.endswith("/0") else d, 12),
        "a bomb of a pickle": rezipped(content, lambda name, d: b"]" * 2**26 if "pkl" in name else d, 8),
        "no data": rezipped(content, lambda name, d: d if "pkl" in name else b""),
        "noise": rezipped(content, lambda name, d: random.Random(name).randbytes(len(d))),
        "lists of lists": packed(state | {"kind": nested}),
        "lists of lists within": packed(state | {"settings": {"n_droplets": nested}, "draws": {"x_px": nested}}),
        "deep": packed(state | {"further": deep}),
        "a long number": rezipped(content, lambda name, d: b"\x80\x02\x8b\xff\xff\xff\x7f" if "pkl" in name else d),
        "a long word": rezipped(content, lambda name, d: b"\x80\x02X\xff\xff\xff\x7f" if "pkl" in name else d),
        "many marks": rezipped(content, lambda name, d: b"\x80\x02" + b"(" * 10**5 + b"." if "pkl" in name else d),
        "itself within": rezipped(content, lambda name, d: b"\x80\x02]q\x00h\x00a." if "pkl" in name else d),
    }
    sys.setrecursionlimit(recursion)
    return made


def fault(path: Path, whole: State | None = None, resume: bool = False) -> tuple[str, str]:
    """How the file was met ("loaded" or "refused"), and what was wrong about that, or "".

    Args:
        path: the file.
        whole: if it is what was saved, or nothing.
        resume: a fit that was loaded is also resumed.
    """
    try:
        found = pyrodrop.load(path, device="cpu")
    except pyrodrop.CheckpointError as error:
        message = str(error)
        if "\n" in message or not message.isprintable() or len(message) > 600 + len(str(path)):
            return "refused", f"the message is {message[:2000]!r}"
        return "refused", ""
    except Exception as error:
        return "failed", f"loading raised {type(error).__name__}: {str(error)[:200]!r}"
    try:
        found.save(path)
        again = torch.load(path, weights_only=True)
        if whole is not None and not same(again, whole):
            return "loaded", "another state than was saved"
        return "loaded", unusable(found, resume)
    except Exception as error:
        return "loaded", f"using it raised {type(error).__name__}: {str(error)[:200]!r}"


def same(one: Any, other: Any) -> bool:
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[name], other[name]) for name in one)
    return bool(one == other)


def unusable(found: Any, resume: bool) -> str:
    """What is wrong with the results of what was loaded."""
    height, width = found.size
    if isinstance(found, Fit):
        table = found.table()
        found._repr_html_()
        assert found.guide is not None
        draws = found.sample(1, seed=1)
        if draws["val"].shape != (1, height, width) or not bool(draws["val"].isfinite().all()):
            return f"a prediction of shape {tuple(draws['val'].shape)}"
        if len(table) != found.settings.n_droplets or len(found.losses) != found.state.iteration:
            return "as many rows or losses as no fit has"
        if resume and len(found.resume(1, progress=False).losses) != found.state.iteration + 1:
            return "resumed to another number of losses"
    else:
        table = found.table
        found._repr_html_()
        if found.prediction.shape != (len(found.names), height, width) or len(table) != len(found.presence):
            return "a prediction of another shape"
        if not 0 <= found.count.mean <= len(table):
            return f"{found.count.mean} of {len(table)} droplets"
    numbers = table.select_dtypes("number").to_numpy()
    if not np.isfinite(numbers).all():
        return "a table that is not finite"
    return "" if ((table["presence"] >= 0) & (table["presence"] <= 1)).all() else "presences outside [0, 1]"


def states(folder: Path) -> dict[str, State]:
    """A fit of several starts, a fit of one, and a measurement of two channels, as they are saved."""
    channel = pyrodrop.simulate(2, (20, 24), seed=1)[0].pixels
    how: dict[str, Any] = {"steps": 3, "start": "uniform", "progress": False, "device": "cpu"}
    made: dict[str, Any] = {
        "fit of several starts": pyrodrop.fit(channel[..., 0], 2, restarts=2, **how),
        "fit": pyrodrop.fit(channel[..., 0], 3, **how),
        "measurement": pyrodrop.measure(channel.movedim(-1, 0)[:2].numpy(), profile="disc", pixel_size_um=0.5),
    }
    kept: dict[str, State] = {}
    for name, one in made.items():
        one.save(folder / "whole")
        kept[name] = torch.load(folder / "whole", weights_only=True)
        assert fault(folder / "whole", kept[name], resume=True) == ("loaded", "")
    return kept


def for_each(states: st.SearchStrategy[Any], count: int, number: int, look: Callable[[Any, bool], None]) -> None:
    """Look at so many states that hypothesis makes; of few of them also at what comes of resuming them."""

    @seed(number)
    @settings(
        max_examples=count,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(states, st.integers(1, round(1 / RESUMED)))
    def once(state: Any, chance: int) -> None:
        look(state, chance == 1)

    once()


def main(folder: Path, count: int, number: int) -> None:
    """Spoil so many checkpoints of every kind, once in what they hold and once in their bytes."""
    warnings.simplefilter("ignore")
    kept = states(folder)
    held = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (held + MEMORY, held + MEMORY))
    faults: dict[str, str] = {}
    met, most = Counter[str](), 0
    path = folder / "spoiled.pt"

    def look(kind: str, content: bytes, whole: State | None = None, resume: bool = False) -> None:
        nonlocal most
        (folder / "now").write_text(kind)
        path.write_bytes(content)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        how, wrong = fault(path, whole, resume)
        most = max(most, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
        met[f"{kind.partition(':')[0]}: {how}"] += 1
        if wrong and wrong not in faults.values():
            faults[kind] = wrong
            (folder / f"fault {len(faults)}.pt").write_bytes(content)

    for kind, state in kept.items():
        content = packed(state)
        for name, made in unusual(content, state).items():
            look(f"{kind} in an unusual way: {name}", made, state)
        for name, made in with_code(state, folder / "run").items():
            look(f"{kind} with code: {name}", made, None)
            if (folder / "run").exists():
                faults[name] = "code was run"
        chance = random.Random(f"{number} {kind}")
        for n in range(count):
            look(f"{kind} in bytes: number {n} of seed {number}", damaged(content, chance), state)

        def look_at(spoiled: Any, resume: bool, kind: str = kind, state: State = state) -> None:
            try:
                content = packed(spoiled)
            except Exception:  # what torch itself cannot save is in no file
                return
            other = (
                [name for name, value in spoiled.items() if value is not state.get(name)]
                if isinstance(spoiled, dict)
                else type(spoiled)
            )
            look(f"{kind} in what it holds: {ascii(other)[:200]}", content, resume=resume)

        for_each(spoiled_states(state), count, number, look_at)
    print(json.dumps({"met": met, "most_kilobytes": most, "faults": [f"{k}: {v}" for k, v in faults.items()]}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
