"""The post's numbers and image, and the command line of the benchmarks that need that image."""

import argparse
import json
from pathlib import Path

HERE = Path(__file__).resolve().parent
POST = json.loads((HERE / "post.json").read_text(encoding="utf-8"))
# Not shipped; where it lies beside the repository it is taken unasked.
POST_IMAGE = HERE.parent.parent / "shared" / "data" / "post" / "micrograph_half.png"


def parse_with_image(parser: argparse.ArgumentParser) -> argparse.Namespace:
    """The arguments, with ``image``, a file that exists, and ``out``, the folder to write to, among them."""
    parser.add_argument("image", nargs="?", type=Path, default=POST_IMAGE, help="the post's image")
    parser.add_argument("--out", type=Path, default=HERE / "results", help="the folder to write to")
    arguments = parser.parse_args()
    if not arguments.image.exists():
        parser.error(f"{arguments.image} is not here: give the post's own image, which the numbers are of")
    return arguments
