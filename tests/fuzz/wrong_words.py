"""Command lines of which some is not what it should be."""

import random
from typing import Any


def words_of(text: str) -> list[str]:
    """Its words."""
    return text.split()


NUMBERS = (
    *words_of(
        """
        0 1 2 3 -0 -1 +1 0.5 1.5 -0.5 1e3 1e-3 1e-30 1e-45 5e-324 1e30 1e38 1e308 1e400 -1e400 nan -nan inf
        -inf infinity 0x10 0b1 1_0 ٣ ½ ∞ 999999999 999999999999 9223372036854775807 9223372036854775808
        18446744073709551616 1,5 1e 1.2.3 1+1 1j True None auto AUTO
        """
    ),
    *["9" * 5_000, " 1", "1 ", "1\n", "--1"],
)
WORDS = (
    *words_of(
        """
        cpu cuda cuda:0 cuda:99 cpu:7 cpu:-1 meta mps xla gaussian disc radial peaks uniform hue saturation
        gray L all value red centres colours rendered fit measure - -- -x --json --quiet --help= @file ~
        ~root . .. * ? [ ** *.png tcp:// tcp://127.0.0.1:1 tls://127.0.0.1:1 tcp://é:1 inproc://x
        http://127.0.0.1:1 127.0.0.1:99999 ucx://a:1 %s {} $HOME é 液滴
        """
    ),
    *["", " ", "\n", "a\nb", "a\0b", "\x1b[31mred", "\u202e", "\udcff", "a" * 300, "b" * 5_000, "c/" * 3_000],
)

# Of each command: what is given at first, which makes it quick, and the options that are spoiled.
BASES: dict[str, tuple[list[str], dict[str, list[str]]]] = {
    "fit": (
        ["IMAGE"],
        {
            "--channel": ["saturation"],
            "--droplets": ["2"],
            "--steps": ["2"],
            "--start": ["uniform"],
            "--scale": [],
            "--frame": [],
            "--white-level": [],
            "--pixel-size": [],
            "--error-scale": [],
            "--learning-rate": [],
            "--restarts": [],
            "--resume": [],
            "--seed": [],
            "--device": ["cpu"],
        },
    ),
    "measure": (
        ["IMAGE"],
        {
            "--channel": [],
            "--profile": ["gaussian"],
            "--scale": [],
            "--frame": [],
            "--white-level": [],
            "--pixel-size": [],
            "--tiles": [],
            "--weights": [],
            "--mask": [],
            "--region": ["0", "0", "16", "12"],
            "--exclude": ["2", "2", "3", "3"],
            "--radius": ["0", "inf"],
            "--polarity": [],
            "--border": [],
            "--seed": [],
            "--device": [],
        },
    ),
    "prior": (
        ["centres"],
        {
            "--size": ["20", "16"],
            "--droplets": ["2"],
            "--warmup": ["2"],
            "--samples": ["2"],
            "--seed": [],
            "--device": ["cpu"],
        },
    ),
    "channels": (["IMAGE"], {"--scale": [], "--frame": []}),
    "simulate": ([], {"--droplets": ["2"], "--size": ["24", "20"], "--seed": []}),
    "report": (["RESULTS"], {}),
    "edit": (["RESULTS", "IMAGE"], {}),
    "batch": (
        ["IMAGE"],
        {
            "--job": ["fit"],
            "--scheduler": ["SCHEDULER"],
            "--workers": [],
            "--workers-per-gpu": [],
            "--channel": ["saturation"],
            "--droplets": ["2"],
            "--steps": ["2"],
            "--start": ["uniform"],
            "--scale": [],
            "--white-level": [],
            "--pixel-size": [],
            "--error-scale": [],
            "--learning-rate": [],
            "--restarts": [],
            "--profile": [],
            "--weights": [],
            "--seed": [],
            "--device": ["cpu"],
        },
    ),
}


_OF_WORDS = (
    *("--channel", "--profile", "--start", "--resume", "--device", "--scheduler", "--job", "--mask", "--polarity"),
    "--border",
)


def spoiled(command: str, chance: random.Random, paths: dict[str, str], out: str) -> list[str]:
    """A command line of which some is not what it should be."""
    positional, options = BASES[command]
    given = {flag: list(values) for flag, values in options.items() if values}
    words = [paths.get(word, word) for word in positional]
    where = [out]

    def anything() -> str:
        pool: list[Any] = chance.choice([NUMBERS, NUMBERS, WORDS, list(paths.values())])
        return str(chance.choice(pool))

    for _ in range(chance.choice([1, 1, 1, 2, 3])):
        what = chance.random()
        if what < 0.12 or not options:
            if words and chance.random() < 0.8:
                words[chance.randrange(len(words))] = chance.choice([*paths.values(), *WORDS])
            else:
                words.append(anything())
        elif what < 0.2:
            where = [chance.choice([*paths.values(), *WORDS])]
        else:
            flag = chance.choice(sorted(options))
            # Numbers where numbers belong: most is to get past the parser.
            number = flag not in _OF_WORDS
            pool = NUMBERS if number and chance.random() < 0.8 else [*WORDS, *paths.values()]
            given[flag] = [str(chance.choice(pool)) for _ in given.get(flag, [""])]
    if given.get("--steps") == ["auto"]:  # right, and slow
        given["--steps"] = ["3"]
    argv = [command]
    for flag, values in given.items():
        argv += [f"{flag}={values[0]}"] if len(values) == 1 and chance.random() < 0.7 else [flag, *values]
    argv += [f"--out={one}" for one in where if command != "report"]
    argv += [paths.get(word, word) for word in words]
    return [paths.get(word, word) for word in [*argv, "--quiet", "--json"]]
