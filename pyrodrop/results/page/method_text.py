"""What was done and found, in sentences that can go into a paper."""

from collections.abc import Mapping
from typing import Any

from pyrodrop.results.page.number_format import digits, parts_of, show, with_interval
from pyrodrop.results.storage.result_folder import ResultFolder

# Where a droplet's circle lies: of a fit, whose spots are Gaussian, and of a measurement, whatever the profile.
OF_A_FIT = "where the spot has fallen to 61 % of its height, one standard deviation from the centre"
OF_A_MEASUREMENT = "where it has fallen to half of its height"
_SHAPES = {
    "gaussian": "Gaussian spots",
    "disc": "discs with a soft edge",
    "radial": "discs with a radial profile",
    "rimmed": "discs with a rim around a core",
}
# The misfit is then as large as the noise.
TOO_LARGE = 2.0


def radius_meaning(summary: Mapping[str, Any]) -> str:
    """Where the radius of a droplet ends, in words; empty where it is not known who has written the results."""
    if isinstance(summary.get("profile"), str):
        return OF_A_MEASUREMENT
    return OF_A_FIT if "learning_rate" in summary else ""


def number_of(run: ResultFolder) -> str:
    """The number of droplets, n_droplets of the summary; of results that do not say it, the mean of the count."""
    number = run.summary.get("n_droplets")
    if isinstance(number, int) and not isinstance(number, bool):
        return show(float(number), 0)
    return with_interval(run.summary.get("count")).value


def method_text(run: ResultFolder) -> str:
    """How the droplets of an image were found, and what came of it.

    Empty where the summary says too little, or the table is not the one that came of it.
    """
    summary = run.summary
    if run.table_altered:
        return ""
    if parts_of(summary.get("count")) is not None:
        sentences = [_measured(run), *_result_sentences(run)]
    elif "learning_rate" in summary:
        sentences = [_fitted(run)]
    else:
        return ""
    sentences += _assumed(summary)
    if meaning := radius_meaning(summary):
        sentences.append(f"A droplet's radius ends {meaning}.")
    return " ".join(sentences)


def _assumed(summary: Mapping[str, Any]) -> list[str]:
    """What was assumed in the place of the model's own priors and normal noise, a sentence each."""
    said = []
    if isinstance(noise := summary.get("noise_family"), str):
        said.append(f"The noise was taken to be {noise}.")
    priors = summary.get("priors")
    if isinstance(priors, Mapping) and priors:
        said.append(f"Priors were {', '.join(f'{site} ~ {prior}' for site, prior in priors.items())}.")
    return said


def _subject(run: ResultFolder) -> str:
    """The image and what is known of it."""
    known = []
    if run.size is not None:
        known.append(f"{run.size[1]} × {run.size[0]} px")
    if run.pixel_size_um is not None:
        known.append(f"{run.pixel_size_um:.6g} µm per px")
    channel = run.summary.get("channel")
    of = "all channels of " if channel == "all" else f"the {channel} channel of " if channel else ""
    return f"{of}{run.name}" + (f" ({', '.join(known)})" if known else "")


def _program(run: ResultFolder) -> str:
    version = run.summary.get("version")
    return f"pyrodrop {version}" if version else "pyrodrop"


def _measured(run: ResultFolder) -> str:
    shape = _SHAPES.get(str(run.summary.get("profile")), "droplets")
    tiles = run.summary.get("tiles")
    cut = f", in {tiles['number']} overlapping tiles" if isinstance(tiles, Mapping) and "number" in tiles else ""
    return (
        f"The droplets in {_subject(run)} were counted and sized with {_program(run)}{cut}.{_looked(run)} A small "
        "neural network that has learnt from simulated images proposed circles of every size, without a threshold or a "
        f"given radius; they were fitted jointly as {shape} on a smooth background with noise, and each counts with "
        f"the probability that it is a droplet.{_filled(run)}{_ruled(run)}{edited_words(run.summary)}"
    )


def _looked(run: ResultFolder) -> str:
    """Of what part of the image the results are; empty where it is all of it."""
    looked_at = run.summary.get("looked_at")
    share = looked_at.get("share") if isinstance(looked_at, Mapping) else None
    if not isinstance(share, int | float) or isinstance(share, bool):
        return ""
    return f" Only {digits(100 * share, 3)} % of the image was looked at; the rest was taken for missing."


def _ruled(run: ResultFolder) -> str:
    """What a droplet had to be to be counted; empty where it had to be nothing more than a droplet."""
    rules = run.summary.get("rules")
    if not isinstance(rules, Mapping):
        return ""
    sentences = []
    radius, unit, size = rules.get("radius_px"), "px", 1.0
    if run.pixel_size_um:
        unit, size = "µm", run.pixel_size_um
    if isinstance(radius, list) and len(radius) == 2:
        low, high = (digits(float(v) * size, 3) if isinstance(v, int | float) and v else "" for v in radius)
        limits = f"from {low} to {high}" if low and high else f"of at least {low}" if low else f"of at most {high}"
        if low or high:
            sentences.append(f" Only droplets with a radius {limits} {unit} were counted, by the probability of that.")
    if rules.get("polarity") in ("bright", "dark"):
        lighter = "brighter" if rules["polarity"] == "bright" else "darker"
        sentences.append(f" Only droplets that are {lighter} than what is around them were counted.")
    if rules.get("border") == "drop":
        sentences.append(
            " Droplets cut by the edge of what was looked at were left out, and the sizes of the others weighed for it "
            "(Miles and Lantuéjoul)."
        )
    return "".join(sentences)


_EDITS = {
    "remove": "removed what was no droplet {}",
    "add": "added a droplet that was missed {}",
    "move": "moved a droplet {}",
    "merge": "made one of droplets {}",
    "split": "split a droplet {}",
    "keep": "confirmed a doubtful droplet {}",
    "mask": "masked a part of the image {}",
}


def edited_words(summary: Mapping[str, Any]) -> str:
    """What a person has corrected, how many times each; empty where nothing was."""
    edits = summary.get("edits")
    numbers = {kind: edits.get(kind) for kind in _EDITS} if isinstance(edits, Mapping) else {}
    said = [
        _EDITS[kind].format(f"{number} times" if number > 1 else "once")
        for kind, number in numbers.items()
        if isinstance(number, int) and not isinstance(number, bool) and number > 0
    ]
    if not said:
        return ""
    listed = said[0] if len(said) == 1 else f"{', '.join(said[:-1])} and {said[-1]}"
    return (
        f" By hand, a person {listed}; those that share pixels with it were fitted again, and what was decided is sure."
    )


def _filled(run: ResultFolder) -> str:
    """What was done to hot pixels; empty where there were none."""
    number = run.summary.get("hot_pixels")
    if not isinstance(number, int) or isinstance(number, bool) or number < 1:
        return ""
    which = f"{number} hot or dead pixels were" if number > 1 else "One hot or dead pixel was"
    return f" {which} filled from the pixels beside first."


def _result_sentences(run: ResultFolder) -> list[str]:
    unit = "µm" if run.pixel_size_um else "px"
    count = with_interval(run.summary["count"])
    sizes = run.summary.get("sizes")
    words = {"dn50": "a median diameter by number", "d_3_2": "a Sauter mean diameter"}
    sizes_in_words = []
    for name, meaning in words.items():
        estimate = with_interval(sizes.get(name)) if isinstance(sizes, Mapping) else with_interval(None)
        if estimate.interval:
            sizes_in_words.append(f"{meaning} of {estimate.value} {unit} ({estimate.interval})")
    with_sizes = f", with {' and '.join(sizes_in_words)}" if sizes_in_words else ""
    sentences = [
        f"It found {number_of(run)} droplets ({count.interval}){with_sizes}; in brackets, 90 % credible intervals."
    ]
    reduced = run.summary.get("reduced_chi_square")
    if isinstance(reduced, int | float) and reduced > TOO_LARGE:
        sentences.append(
            f"The reduced chi-square is {digits(float(reduced))}, so the model does not describe all of the image."
        )
    return sentences


def _fitted(run: ResultFolder) -> str:
    summary = run.summary
    words = {
        "steps": "{} iterations of Adam",
        "learning_rate": "learning rate {}",
        "noise": "standard deviation of the noise {}",
        "seed": "seed {}",
    }
    settings = [
        phrase.format(summary[name]) for name, phrase in words.items() if isinstance(summary.get(name), int | float)
    ]
    number = show(float(len(run.table)), 0)
    return (
        f"{number} Gaussian spots on a uniform background were fitted to {_subject(run)} with {_program(run)} by "
        f"stochastic variational inference with a mean-field normal guide ({', '.join(settings)}). How sure their "
        "number is, the fit does not say."
    )
