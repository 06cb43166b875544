"""Which images files, folders and patterns mean."""

import os
from pathlib import Path

import pytest
from PIL import Image

from pyrodrop.workflows.batch.sources import SUFFIXES, find_sources
from pyrodrop.workflows.settings import SettingError


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A folder with images, other files, a folder within, and an output folder within."""
    for name in ("b.png", "a.TIF", "notes.txt", ".hidden.png", "deep/c.jpg", "deep/er/d.png", "out/x-1/overlay.png"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path


def names(tree: Path, *paths: str) -> list[str]:
    found = find_sources([str(tree / path) for path in paths], tree / "out")
    assert all(os.path.isabs(source.path) and Path(source.name).is_file() for source in found)
    return [Path(source.path).relative_to(tree).as_posix() for source in found]


def test_a_file_is_taken_whatever_its_suffix(tree: Path) -> None:
    assert names(tree, "notes.txt") == ["notes.txt"]


def test_a_folder_gives_the_images_directly_in_it_by_name(tree: Path) -> None:
    assert names(tree, "") == ["a.TIF", "b.png"]


def test_patterns_go_as_deep_as_they_say(tree: Path) -> None:
    assert names(tree, "*/*.jpg") == ["deep/c.jpg"]
    assert names(tree, "deep/**/*.*") == ["deep/c.jpg", "deep/er/d.png"]


def test_what_lies_in_the_output_folder_is_no_image_to_work_on(tree: Path) -> None:
    assert names(tree, "**/*.png") == ["b.png", "deep/er/d.png"]


def test_paths_keep_their_order_and_count_once(tree: Path) -> None:
    assert names(tree, "deep/c.jpg", "", "b.png", "deep") == ["deep/c.jpg", "a.TIF", "b.png"]


def test_a_name_with_brackets_is_a_file_before_it_is_a_pattern(tree: Path) -> None:
    (tree / "s[1].png").touch()
    (tree / "s1.png").touch()
    assert names(tree, "s[1].png") == ["s[1].png"]


@pytest.mark.parametrize("path", ["none.png", "deep/er/none", "*.bmp", "empty"])
def test_a_path_that_leads_to_nothing_is_named(tree: Path, path: str) -> None:
    (tree / "empty").mkdir()
    with pytest.raises(SettingError, match=path.replace("*", r"\*")):
        find_sources([str(tree / "b.png"), str(tree / path)], tree / "out")


def test_the_suffixes_are_those_of_the_formats_that_are_read() -> None:
    known = Image.registered_extensions()
    read = {"PNG", "JPEG", "TIFF", "BMP", "GIF", "WEBP"}
    assert {known[suffix] for suffix in SUFFIXES if suffix != ".nd2"} == read
