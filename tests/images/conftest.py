"""Image files written by hand, byte by byte, for what Pillow cannot write."""

import struct
import zlib
from collections.abc import Callable

import pytest


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _png(width: int, height: int, depth: int, colour: int, rows: bytes) -> bytes:
    """A PNG; rows start with their filter byte, 0."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    body = _chunk(b"IHDR", header) + _chunk(b"IDAT", zlib.compress(rows)) + _chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def _tiff(width: int, height: int, bits: tuple[int, ...], photometric: int, sample_format: int, data: bytes) -> bytes:
    """A plain little-endian TIFF of one strip."""
    entries = [
        (256, 4, [width]),
        (257, 4, [height]),
        (258, 3, list(bits)),
        (259, 3, [1]),
        (262, 3, [photometric]),
        (273, 4, [512]),
        (277, 3, [len(bits)]),
        (278, 4, [height]),
        (279, 4, [len(data)]),
        (339, 3, [sample_format] * len(bits)),
    ]
    if photometric < 2 and len(bits) > 1:
        entries.insert(-1, (338, 3, [0] * (len(bits) - 1)))  # further samples of unknown meaning
    directory, spilled = struct.pack("<H", len(entries)), b""
    for tag, kind, values in entries:
        packed = struct.pack("<" + {3: "H", 4: "I"}[kind] * len(values), *values)
        if len(packed) > 4:
            offset = 256 + len(spilled)
            spilled += packed.ljust(16, b"\0")
            packed = struct.pack("<I", offset)
        directory += struct.pack("<HHI", tag, kind, len(values)) + packed.ljust(4, b"\0")
    head = b"II*\0" + struct.pack("<I", 8) + directory + struct.pack("<I", 0)
    return (head.ljust(256, b"\0") + spilled).ljust(512, b"\0") + data


@pytest.fixture
def png() -> Callable[..., bytes]:
    """Makes a PNG of (width, height, depth, colour type, rows)."""
    return _png


@pytest.fixture
def tiff() -> Callable[..., bytes]:
    """Makes a TIFF of (width, height, bits, photometric, sample format, data)."""
    return _tiff
