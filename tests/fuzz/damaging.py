"""A program of its own, so that a hang or a full memory stays in it: damages files of every kind and reads them.

``PYTHONPATH=tests python tests/fuzz/damaging.py FOLDER COUNT SEED [KIND...]`` prints one JSON object: how many files
were read and refused, the most memory that reading one took, and what went wrong. Each name is written to FOLDER/now
before its file is read.
"""

import io
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
import tifffile
from PIL import Image

from pyrodrop.images import ImageError, read_image

MEMORY = 2**30
ROWS, COLUMNS = np.mgrid[:40, :56]
GRAY = (120 + 60 * np.sin(ROWS / 7) + 50 * np.cos(COLUMNS / 5)).astype(np.uint8)
COLOURS = np.stack([GRAY, GRAY // 2, 255 - GRAY], -1)
STACK = np.stack([GRAY.astype(np.uint16) * (257 - 20 * k) for k in range(6)]).reshape(3, 2, 40, 56)
# A PNG alone has checksums over everything: what is read of it must be the picture itself.
CHECKED = ("png",)
# Their data have to fit the declared size, turned or not.
SIZED = ("tiff", "bmp")


def by_pillow(levels: Any, kind: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    image = levels if isinstance(levels, Image.Image) else Image.fromarray(levels)
    image.save(stream, kind, **options)
    return stream.getvalue()


def by_tifffile(levels: Any, **options: Any) -> bytes:
    stream = io.BytesIO()
    tifffile.imwrite(stream, levels, **options)
    return stream.getvalue()


def tiff_of_twelve_bits() -> bytes:
    """Rows of 84 bytes that are 56 numbers, which not every version of imagecodecs can write."""
    bits = np.unpackbits((STACK[0, 0] // 16).astype(">u2").view(np.uint8).reshape(40, 56, 2), axis=-1)
    stream = io.BytesIO(by_tifffile(np.packbits(bits[..., 4:].reshape(40, -1), axis=-1), metadata=None))
    with tifffile.TiffFile(stream) as file:
        file.pages.first.tags["ImageWidth"].overwrite(56)
        file.pages.first.tags["BitsPerSample"].overwrite(12)
        return stream.getvalue()


def png_of_sixteen_bits() -> bytes:
    import imagecodecs

    return bytes(imagecodecs.png_encode(COLOURS.astype(np.uint16) * 257))


def nd2_stack() -> bytes:
    from images.reading.nikon_files import nd2_file

    return bytes(nd2_file(np.moveaxis(STACK, 1, 3), ("DAPI", "GFP"), 16, 0.5))


FILES: dict[str, Callable[[], bytes]] = {
    "png gray": lambda: by_pillow(GRAY, "PNG", dpi=(50_800, 50_800)),
    "png 16 bits gray": lambda: by_pillow(GRAY.astype(np.uint16) * 257, "PNG"),
    "png 16 bits colour": png_of_sixteen_bits,
    "png palette": lambda: by_pillow(Image.fromarray(COLOURS).quantize(16), "PNG", transparency=3),
    "jpeg": lambda: by_pillow(COLOURS, "JPEG"),
    "jpeg progressive": lambda: by_pillow(COLOURS, "JPEG", progressive=True),
    "jpeg cmyk": lambda: by_pillow(Image.fromarray(COLOURS).convert("CMYK"), "JPEG"),
    "bmp": lambda: by_pillow(COLOURS, "BMP"),
    "bmp palette": lambda: by_pillow(Image.fromarray(COLOURS).quantize(16), "BMP"),
    "gif": lambda: by_pillow(Image.fromarray(COLOURS).quantize(16), "GIF"),
    "webp": lambda: by_pillow(COLOURS, "WEBP"),
    "webp lossless": lambda: by_pillow(COLOURS, "WEBP", lossless=True),
    "tiff gray": lambda: by_tifffile(GRAY, resolution=(50_800, 50_800), resolutionunit="INCH"),
    # Those without tifffile's metadata, as other writers leave them, do not state their shape twice.
    "tiff colour": lambda: by_tifffile(COLOURS, photometric="rgb", rowsperstrip=9, metadata=None),
    "tiff lzw": lambda: by_tifffile(
        COLOURS, photometric="rgb", compression="lzw", predictor=True, rowsperstrip=11, metadata=None
    ),
    "tiff deflate": lambda: by_tifffile(STACK[0, 0], compression="zlib", tile=(16, 16)),
    "tiff packbits": lambda: by_tifffile(GRAY, compression="packbits", rowsperstrip=9, metadata=None),
    "tiff zstd": lambda: by_tifffile(GRAY, compression="zstd"),
    "tiff jpeg": lambda: by_tifffile(COLOURS, photometric="rgb", compression="jpeg"),
    "tiff 12 bits": tiff_of_twelve_bits,
    "tiff float": lambda: by_tifffile((GRAY / 255).astype(np.float32)),
    "tiff big": lambda: by_tifffile(GRAY, bigtiff=True),
    "tiff palette": lambda: by_tifffile(
        GRAY, photometric="palette", colormap=np.arange(768, dtype=np.uint16).reshape(3, 256) * 85
    ),
    "tiff ome": lambda: by_tifffile(
        STACK,
        ome=True,
        photometric="minisblack",
        metadata={"axes": "ZCYX", "PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5, "Channel": {"Name": ["DAPI", "GFP"]}},
    ),
    "tiff imagej": lambda: by_tifffile(
        STACK, imagej=True, photometric="minisblack", resolution=(2, 2), metadata={"axes": "ZCYX", "unit": "um"}
    ),
    "tiff pages": lambda: by_tifffile(STACK[:, 0], photometric="minisblack", compression="lzw", metadata=None),
    "nd2": nd2_stack,
}


def damaged(content: bytes, chance: random.Random) -> bytes:
    """The content cut, or with bits turned, runs zeroed, overwritten or pasted, numbers made extreme."""
    data = bytearray(content)
    for _ in range(chance.choice([1, 1, 1, 2, 4])):
        # Half of the damage is done to the header, which is small.
        start = chance.randrange(min(300, len(data)) if chance.random() < 0.5 else len(data))
        run = min(chance.choice([1, 2, 4, 16, 100]), len(data) - start)
        what = chance.choice(
            ["cut", "turn", "turn", "turn", "zero", "noise", "paste", "extreme", "extreme", "insert", "drop"]
        )
        if what == "cut":
            del data[max(start, 1) :]
        elif what == "turn":
            data[start] ^= 1 << chance.randrange(8)
        elif what == "zero":
            data[start : start + run] = bytes(run)
        elif what == "noise":
            data[start : start + run] = chance.randbytes(run)
        elif what == "paste":
            source = chance.randrange(len(data) - run + 1)
            data[start : start + run] = data[source : source + run]
        elif what == "extreme":
            number = chance.choice(
                [b"\xff\xff\xff\xff", b"\xff\xff\xff\x7f", b"\x7f\xff\xff\xff", b"\0\0\1\0", b"\xff\xff"]
            )
            data[start : start + len(number)] = number
        elif what == "insert":
            data[start:start] = chance.randbytes(run)
        elif len(data) > run:
            del data[start : start + run]
    return bytes(data)


def fault(path: Path, kind: str, whole: np.ndarray[Any, Any], frame: int | None) -> tuple[str, str]:
    """How the file was met ("read" or "refused"), and what was wrong about that, or ""."""
    try:
        image = read_image(path, frame=frame)
    except ImageError as error:
        message = str(error)
        if "\n" in message or "fit into memory" in message or len(message) > 600 + len(str(path)):
            return "refused", f"the message is {message!r}"
        return "refused", ""
    except Exception as error:
        return "failed", f"raised {error!r}"
    pixels = image.pixels.numpy()
    if not (np.isfinite(pixels).all() and pixels.min() >= 0 and pixels.max() <= 1):
        return "read", "pixels outside [0, 1]"
    if kind.startswith(CHECKED) and not np.array_equal(pixels, whole):
        return "read", "another picture than was written"
    if kind.startswith(SIZED) and sorted(pixels.shape[:2]) != sorted(whole.shape[:2]):
        return "read", f"a picture of {pixels.shape}"
    return "read", ""


def main(folder: Path, count: int, seed: int) -> None:
    """Damage and read so many files of every kind."""
    warnings.simplefilter("ignore")
    faults, met, most = [], Counter[str](), 0
    for kind, make in FILES.items():
        if len(sys.argv) > 4 and kind not in sys.argv[4:]:
            continue
        content = make()
        frame = 2 if kind.endswith(("ome", "imagej", "pages", "nd2")) else None
        path = folder / "damaged"
        path.write_bytes(content)
        whole = read_image(path, frame=frame).pixels.numpy()  # with the libraries now loaded
        if not met:
            for warm in ("tiff gray", "tiff lzw", "png 16 bits colour", "nd2"):
                path.write_bytes(FILES[warm]())
                read_image(path, frame=0)
            held = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
            resource.setrlimit(resource.RLIMIT_AS, (held + MEMORY, held + MEMORY))
        chance = random.Random(f"{seed} {kind}")
        for number in range(count):
            name = f"{kind}, number {number} of seed {seed}"
            (folder / "now").write_text(name)
            path.write_bytes(damaged(content, chance))
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            how, wrong = fault(path, kind, whole, frame)
            most = max(most, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
            met[f"{kind}: {how}"] += 1
            if wrong:
                kept = folder / f"fault {len(faults)}"
                kept.write_bytes(path.read_bytes())
                faults.append(f"{name}: {wrong}")
    print(json.dumps({"met": met, "most_kilobytes": most, "faults": faults}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
