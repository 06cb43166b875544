"""The README as a package index shows it, where nothing stands beside it."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def relative_targets(text: str) -> list[str]:
    """What links and pictures of a Markdown text point to, unless that has an address of its own."""
    targets = re.findall(r"\]\(([^)\s]+)[^)]*\)", text) + re.findall(r"(?:src|href)=[\"']([^\"']+)", text)
    return [target for target in targets if not target.startswith(("https://", "#"))]


def test_no_link_and_no_picture_needs_a_file_beside_the_readme() -> None:
    assert relative_targets(README) == []


@pytest.mark.parametrize("text", ["![a picture](docs/a.png)", "[a page](docs/a.md)", '<img src="docs/a.png">'])
def test_a_link_to_a_file_is_seen(text: str) -> None:
    assert relative_targets(text) != []


@pytest.mark.parametrize("name", sorted(set(re.findall(r"`((?:docs|benchmarks)/[\w./-]*\.\w+)`", README))))
def test_a_file_that_the_readme_names_is_there(name: str) -> None:
    assert (ROOT / name).is_file()
