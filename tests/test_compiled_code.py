"""Code that was compiled from other sources is not run by the tests."""

import os

import numba
from compiled_code import compiled_sources, digest, keep_apart

TEXTS = {
    "pyrodrop.loops": "import numba\nfrom pyrodrop.numbers import CUT",
    "pyrodrop.numbers": "CUT = 3.0",
    "pyrodrop.words": "WORD = 'droplet'",
}


def test_compiled_code_is_what_numba_sees_and_what_that_takes_in() -> None:
    assert compiled_sources(TEXTS) == {"pyrodrop.loops", "pyrodrop.numbers"}


def test_a_number_in_another_file_asks_for_another_folder() -> None:
    assert digest(TEXTS | {"pyrodrop.numbers": "CUT = 4.0"}) != digest(TEXTS)
    assert digest(TEXTS | {"pyrodrop.words": "WORD = 'drop'"}) == digest(TEXTS)


def test_the_folder_of_these_sources_is_the_one_that_numba_uses() -> None:
    before = os.environ["NUMBA_CACHE_DIR"]
    keep_apart()
    assert os.environ["NUMBA_CACHE_DIR"] == before == numba.config.CACHE_DIR
