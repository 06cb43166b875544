"""Files that are no checkpoint, that would run code, or that are one in an unusual way."""

import io
import os
import pickle
import random
import sys
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

State = dict[str, Any]


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
