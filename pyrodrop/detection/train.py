"""Train the network that proposes circles: `python -m pyrodrop.detection.train --out DIR --minutes M --seed N`.

In DIR it writes `state.pt`, from which `--resume` goes on, `weights.pt`, which `propose` reads, and `log.csv`. The
weights that are used are an average over the last steps, so training may be stopped at any time.
"""

import argparse
import importlib
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from pyrodrop.detection.learning.held_out import HeldOut, evaluate, learn_calibration
from pyrodrop.detection.learning.patches import Block, BlockMaker, Simulator, block_of, block_seed, make_chunk
from pyrodrop.detection.learning.trainer import Schedule, StepLoss, Trainer
from pyrodrop.detection.network.calibration import Calibration
from pyrodrop.detection.network.weights import TrainedNetwork, read_weights, to_data

SIMULATOR = "pyrodrop.detection.simulation:simulate_patches"
CALIBRATION_BLOCK, HELD_OUT_BLOCK = 10**6, 10**6 + 1  # numbers of blocks that training never reaches


def parser() -> argparse.ArgumentParser:
    """The command's options."""
    p = argparse.ArgumentParser(prog="python -m pyrodrop.detection.train", description=(__doc__ or "").split("\n")[0])
    p.add_argument("--out", type=Path, required=True, help="folder of the state, the weights and the log")
    p.add_argument("--minutes", type=float, default=60.0, help="how long to train in this sitting")
    p.add_argument("--steps", type=int, help="stop at this step, counted from the first sitting")
    p.add_argument("--last", type=int, help="let the learning rate fall to nothing by this step; kept when resumed")
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--resume", action="store_true", help="go on from DIR/state.pt")
    p.add_argument("--from", dest="origin", type=Path, help="weights to begin with")
    p.add_argument("--device", default="auto", help="auto, cpu or cuda")
    p.add_argument("--threads", type=int, default=0, help="threads of the network; 0: torch's own choice")
    p.add_argument("--workers", type=int, default=1, help="processes that simulate; 0: none beside this one")
    p.add_argument("--batch", type=int, default=Schedule().batch)
    p.add_argument("--block", type=int, default=Schedule().block, help="patches made at a time")
    p.add_argument("--reuse", type=int, default=Schedule().reuse, help="times that each patch is used")
    p.add_argument("--rate", type=float, default=Schedule().rate, help="learning rate")
    p.add_argument(
        "--held-out", type=int, default=400, help="patches on which progress is scored, and as many to calibrate"
    )
    p.add_argument("--every", type=float, default=5.0, help="minutes from one score to the next")
    p.add_argument("--simulator", default=SIMULATOR, help="module:function that makes the patches")
    return p


def simulator_named(name: str) -> Simulator:
    """The function that `module:function` names."""
    module, _, function = name.partition(":")
    simulator: Simulator = getattr(importlib.import_module(module), function)
    return simulator


def fixed_block(simulator: Simulator, n: int, seed: int, block: int, side: int = 128) -> Block:
    """Patches of this side in px that training never sees."""
    starts = range(0, n, 64)
    return block_of(
        [make_chunk(simulator, min(64, n - s), side, block_seed(seed, block, k)) for k, s in enumerate(starts)]
    )


def score_lines(result: HeldOut) -> str:
    """Figures of a held-out block, over all and by kind."""

    def line(name: str, kind: str | None) -> str:
        s = result.scores(kind)
        return (
            f"  {name:24s} asked {s.true:6.0f}  reported {s.reported:6.0f}  F1 {s.f1:.3f}  radius {s.radius_error:.3f}"
        )

    head = f"cross-entropy {result.cross_entropy():.4f}  calibration error {result.calibration_error():.4f}"
    return "\n".join([head, line("all", None), *(line(kind, kind) for kind in sorted(set(result.kinds)))])


def assess(
    trainer: Trainer, calibration_blocks: Sequence[Block], held_out_block: Block
) -> tuple[TrainedNetwork, HeldOut]:
    """The averaged network, calibrated on some blocks and scored on another."""
    folded = trainer.average.folded().to(memory_format=torch.channels_last)
    raw = [evaluate(folded, block, Calibration(), trainer.device) for block in calibration_blocks]
    judged = [image for seen in raw for image in seen.judged]
    calibration = learn_calibration(HeldOut(judged, [kind for seen in raw for kind in seen.kinds]))
    result = evaluate(folded, held_out_block, calibration, trainer.device)
    return TrainedNetwork(trainer.average, calibration), result


def save_weights(trained: TrainedNetwork, path: Path) -> None:
    """Write the weights by a file beside it that is renamed."""
    beside = path.with_suffix(".writing")
    torch.save(to_data(trained), beside)
    os.replace(beside, path)


def trainer_for(options: argparse.Namespace) -> Trainer:
    """The trainer that goes on or begins."""
    name = options.device if options.device != "auto" else "cuda" if torch.cuda.is_available() else "cpu"
    state = options.out / "state.pt"
    if options.resume:
        if not state.exists():
            raise SystemExit(f"--resume needs {state}, which is not there: leave --resume out to begin")
        trainer = Trainer.load(state, torch.device(name))
        if options.last is not None:
            trainer.schedule = trainer.schedule._replace(last=options.last)
        return trainer
    if state.exists():
        raise SystemExit(f"{state} is there already: add --resume to go on, or choose another --out")
    schedule = Schedule(batch=options.batch, block=options.block, reuse=options.reuse, rate=options.rate)
    schedule = schedule._replace(last=options.last or 0)
    if options.origin:  # it knows already that most cells are empty, and is ready for larger patches
        schedule = schedule._replace(focused=0, larger=0)
    network = read_weights(options.origin).network if options.origin else None
    return Trainer(options.seed, schedule, torch.device(name), network)


def main(arguments: Sequence[str] | None = None) -> int:
    """Train for as long as asked, and write what was learnt."""
    options = parser().parse_args(arguments)
    if options.threads:
        torch.set_num_threads(options.threads)  # this process is the command's own
    options.out.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    trainer = trainer_for(options)
    simulator = simulator_named(options.simulator)
    maker = BlockMaker(simulator, trainer.seed, trainer.schedule.block, trainer.schedule.size, options.workers)
    try:
        # Patches, and as many pixels in larger ones, of which more is seen in the coarser scales.
        calibration_blocks = [
            fixed_block(simulator, max(options.held_out * 128**2 // side**2, 1), trainer.seed, CALIBRATION_BLOCK, side)
            for side in (128, 256)
        ]
        held_out_block = fixed_block(simulator, options.held_out, trainer.seed, HELD_OUT_BLOCK)
        run(trainer, maker, (calibration_blocks, held_out_block), options, began)
    finally:
        maker.close()
    return 0


def run(
    trainer: Trainer, maker: BlockMaker, fixed: tuple[Sequence[Block], Block], options: argparse.Namespace, began: float
) -> None:
    """Steps until the time or the number of steps is reached, with a score now and then and at the end."""

    def minutes() -> float:
        return (time.monotonic() - began) / 60

    def report(last: list[StepLoss]) -> None:
        trained, result = assess(trainer, *fixed)
        save_weights(trained, options.out / "weights.pt")
        trainer.save(options.out / "state.pt")
        scores = result.scores()
        presence, values = np.mean([(s.presence, s.values) for s in last], 0) if last else (np.nan, np.nan)
        row = f"{minutes():.2f},{trainer.step},{presence:.4f},{values:.4f},{result.cross_entropy():.4f}"
        with open(options.out / "log.csv", "a", encoding="utf-8") as log:
            log.write(f"{row},{scores.f1:.4f},{scores.radius_error:.4f},{result.calibration_error():.4f}\n")
        print(f"step {trainer.step} after {minutes():.1f} min: {score_lines(result)}", flush=True)

    recent: list[StepLoss] = []
    number, block, next_score, next_save = -1, None, minutes() + options.every, minutes() + 1
    while minutes() < options.minutes and (options.steps is None or trainer.step < options.steps):
        wanted = trainer.step // trainer.schedule.steps_per_block
        if block is None or wanted != number:
            number, block = wanted, maker.get(wanted)
            if minutes() >= next_save:
                trainer.save(options.out / "state.pt")
                next_save = minutes() + 1
        recent = [*recent[-99:], trainer.learn(block)]
        if trainer.step % 20 == 0:
            presence, values = np.mean([(s.presence, s.values) for s in recent[-20:]], 0)
            print(
                f"step {trainer.step}  {minutes():.1f} min  presence {presence:.3f}  values {values:.3f}",
                file=sys.stderr,
                flush=True,
            )
        if minutes() >= next_score:
            report(recent)
            next_score = minutes() + options.every
    report(recent)


if __name__ == "__main__":
    sys.exit(main())
