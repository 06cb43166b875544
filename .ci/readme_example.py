"""Print the Python example of the README, so that it can be run: python .ci/readme_example.py | python -"""

import re
from pathlib import Path

README = Path(__file__).resolve().parents[1] / "README.md"


def example(text: str) -> str:
    """The one block of Python in a Markdown text."""
    blocks = re.findall(r"^```python\n(.*?)^```$", text, flags=re.DOTALL | re.MULTILINE)
    if len(blocks) != 1:
        raise ValueError(f"README.md has {len(blocks)} Python examples, expected 1")
    return str(blocks[0])


if __name__ == "__main__":
    print(example(README.read_text(encoding="utf-8")))
