"""The command line: one subcommand, one workflow. Parses, prints, exits."""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

CHANNELS = ("hue", "saturation", "value", "L", "a", "b", "red", "green", "blue", "gray")
STARTS = ("peaks", "uniform")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status.

    0: all done. 1: some of the work failed, and it is said what. 2: wrong usage or unreadable input.
    """
    given = _parser().parse_args(argv)
    # Heavy imports wait until it is known what they are for, so that --help answers at once.
    from pyrodrop.workflows.settings import input_errors

    try:
        results = _COMMANDS[given.command](given)
        _show(results, given.json)
    except input_errors() as error:
        print(f"pyrodrop {given.command}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"pyrodrop {given.command}: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # whoever read the results has read enough
        sys.stderr.close()
        return 0
    return 1 if results.get("failed") else 0


def _fit(given: argparse.Namespace) -> dict[str, Any]:
    from pyrodrop.workflows.fit_image import fit_image

    return fit_image(
        given.image,
        given.out,
        channel=given.channel,
        scale=given.scale,
        n_droplets=given.droplets,
        steps=given.steps,
        error_scale=given.error_scale,
        learning_rate=given.learning_rate,
        start=given.start,
        restarts=given.restarts,
        seed=given.seed,
        device=given.device,
        resume=given.resume,
        progress=not given.quiet,
    )


def _prior(given: argparse.Namespace) -> dict[str, Any]:
    from pyrodrop.workflows.prior import prior

    return prior(
        given.prior,
        given.out,
        size=(given.size[1], given.size[0]),
        n_droplets=given.droplets,
        num_warmup=given.warmup,
        num_samples=given.samples,
        seed=given.seed,
        device=given.device,
        progress=not given.quiet,
    )


def _channels(given: argparse.Namespace) -> dict[str, Any]:
    from pyrodrop.workflows.channels import channels

    return channels(given.image, given.out, scale=given.scale)


def _simulate(given: argparse.Namespace) -> dict[str, Any]:
    from pyrodrop.workflows.simulate import simulate_image

    size = None if given.size is None else (given.size[1], given.size[0])
    return simulate_image(given.out, n_droplets=given.droplets, size=size, seed=given.seed)


def _report(given: argparse.Namespace) -> dict[str, Any]:
    from pyrodrop.workflows.report import report

    return report(given.folder)


_COMMANDS: dict[str, Callable[[argparse.Namespace], dict[str, Any]]] = {
    "fit": _fit,
    "prior": _prior,
    "channels": _channels,
    "simulate": _simulate,
    "report": _report,
}


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}; see {self.prog} --help\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="pyrodrop", description="Reads droplets out of microscope images with honest probability.")
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version and exit")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=_Parser)

    fit = commands.add_parser("fit", help="fit droplets to a channel of an image", description=_FIT)
    fit.add_argument("image", nargs="?", metavar="IMAGE", help="an image file; without one, the embedded micrograph")
    fit.add_argument(
        "--channel",
        choices=CHANNELS,
        help="channel to fit (default: hue, as in the post; saturation for the embedded micrograph)",
    )
    fit.add_argument("--scale", type=float, default=1.0, metavar="S", help="resize the image first (default 1)")
    fit.add_argument("--droplets", type=_count, metavar="N|auto", help=_DROPLETS)
    fit.add_argument("--steps", type=_count, metavar="N|auto", help=_STEPS)
    fit.add_argument("--error-scale", type=float, metavar="S", help=_NOISE)
    fit.add_argument("--learning-rate", type=float, metavar="R", help="of Adam (default 0.01)")
    fit.add_argument("--start", choices=STARTS, help="where the fit starts (default peaks; uniform as in the post)")
    fit.add_argument("--restarts", type=int, metavar="K", help="fit from K starts at once, keep the best (default 1)")
    fit.add_argument("--resume", metavar="FIT.PT", help="go on from this checkpoint for --steps more iterations")
    _common(fit, "pyrodrop-fit", seed=True, device=True)

    prior = commands.add_parser("prior", help="sample one of the post's priors with NUTS and draw it")
    prior.add_argument("prior", choices=("centres", "colours", "rendered"))
    prior.add_argument("--size", type=int, nargs=2, default=(1014, 760), metavar=("W", "H"), help="of the image in px")
    prior.add_argument("--droplets", type=int, default=100, metavar="N", help="number of droplets (default 100)")
    prior.add_argument("--warmup", type=int, metavar="N", help="warm-up iterations (default: the post's)")
    prior.add_argument("--samples", type=int, metavar="N", help="draws (default: the post's)")
    _common(prior, "pyrodrop-prior", seed=True, device=True)

    channels = commands.add_parser("channels", help="show the Lab and HSV channels of an image")
    channels.add_argument("image", metavar="IMAGE", help="an image file in colour")
    channels.add_argument("--scale", type=float, default=1.0, metavar="S", help="resize the image first (default 1)")
    _common(channels, "pyrodrop-channels")

    simulate = commands.add_parser("simulate", help="make a micrograph of a known truth")
    simulate.add_argument("--droplets", type=int, metavar="N", help="number of droplets")
    simulate.add_argument("--size", type=int, nargs=2, metavar=("W", "H"), help="of the image in px")
    _common(simulate, "pyrodrop-simulate", seed=True)

    report = commands.add_parser("report", help="write results as a page, ImageJ ROIs and a mask", description=_REPORT)
    report.add_argument(
        "folder", metavar="DIR", help="a folder that fit or measure has written, or one of such folders"
    )
    _printing(report)
    return parser


_DROPLETS = "number of droplets (default 500, the true number for the embedded micrograph; auto: is found)"
_NOISE = "standard deviation of the noise (default 0.05, and 0.02 for the embedded micrograph)"
_STEPS = "iterations (default auto, until the loss has stopped falling; 20000 with --start uniform)"
_FIT = """Fits droplets to a channel of an image and writes droplets.csv, summary.json, fit.pt, losses.csv and
figures. Without IMAGE it fits a micrograph that the package makes itself, and compares with its truth."""
_REPORT = """Writes report.html (one page that holds everything), rois.zip (for ImageJ's ROI Manager) and labels.tif (a
label image) into a folder of results; for a folder of such folders also a page that compares them."""


def _count(text: str) -> int | str:
    if text == "auto":
        return text
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected a whole number or auto, got {text!r}") from None


def _common(parser: argparse.ArgumentParser, out: str, seed: bool = False, device: bool = False) -> None:
    parser.add_argument("--out", default=out, metavar="DIR", help=f"folder of the results (default {out})")
    if seed:
        parser.add_argument("--seed", type=int, metavar="N", help="seed of all random numbers")
    if device:
        parser.add_argument("--device", default="auto", metavar="auto|cpu|cuda", help="where to compute")
    _printing(parser)


def _printing(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print the results as JSON")
    parser.add_argument("--quiet", action="store_true", help="no progress and no messages")


class _Version(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        from importlib.metadata import version

        print(f"pyrodrop {version('pyrodrop')}")
        parser.exit()


def _show(results: dict[str, Any], as_json: bool) -> None:
    """Print results on standard output, as JSON or one to a line."""
    if as_json:
        print(json.dumps(results, indent=2))
        return
    for name, value in results.items():
        if isinstance(value, dict):
            value = ", ".join(f"{key} {_short(item)}" for key, item in value.items())
        print(f"{name}: {_short(value)}")


def _short(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    sys.exit(main())
