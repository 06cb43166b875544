"""A program of its own, so that a hang or a full memory stays in it: spoils checkpoints and loads them.

``PYTHONPATH=tests python tests/fuzz/spoiling.py FOLDER COUNT SEED`` prints one JSON object: how many were loaded and
refused, the most memory that loading one took, and what went wrong. Each is named in FOLDER/now before it is loaded.
"""

import json
import random
import resource
import sys
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from fuzz.damaging import damaged
from fuzz.odd_checkpoints import packed, unusual, with_code
from fuzz.spoiled_states import State, spoiled_states
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

import pyrodrop
from pyrodrop.workflows.fitting.fit_result import Fit

MEMORY = 2**30
# Of what is loaded, so many are also resumed, which takes a hundred times as long.
RESUMED = 0.03


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
        if resume and not resumes(found):
            return "resumed to another number of losses"
    else:
        table = found.candidates
        found._repr_html_()
        if found.prediction.shape != (len(found.names), height, width) or len(table) != len(found.presence):
            return "a prediction of another shape"
        if not 0 <= found.count.mean <= len(table) or len(found.table) != found.n_droplets:
            return f"{found.count.mean} of {len(table)} droplets, of which {len(found.table)} are in the table"
        if not bool(found.background.isfinite().all()) or not callable(found.model):
            return "a model that is not there"
    numbers = table.select_dtypes("number").to_numpy()
    if not np.isfinite(numbers).all():
        return "a table that is not finite"
    return "" if ((table["presence"] >= 0) & (table["presence"] <= 1)).all() else "presences outside [0, 1]"


def resumes(fit: Fit) -> bool:
    """Whether a fit goes on by one step; that it diverges with settings that were spoiled is no fault of it."""
    try:
        return len(fit.resume(1, progress=False).losses) == fit.state.iteration + 1
    except pyrodrop.SettingError as error:
        return "the fit diverged" in str(error)


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
