"""ND2 files written by hand, since no library writes them: version 3, uncompressed, with a loop over time.

After Nikon's layout as the nd2 library reads it: named chunks, a map of them at the end, and metadata as a tree of
typed records ("CLX lite").
"""

import struct
from typing import Any

from numpy.typing import NDArray

MAGIC = 0x0ABECEDA
# Image data start 4096 bytes after their chunk: 16 of header, the padded name, 8 for the time.
NAME_OF_DATA = 4072
BOOL, UINT32, DOUBLE, STRING, LEVEL = 1, 3, 6, 8, 11


def _record(name: str, value: Any) -> bytes:
    """A named value, or a named level of further records."""
    label = (name + "\0").encode("utf-16-le")
    kind, packed = {
        bool: lambda: (BOOL, struct.pack("<B", value)),
        int: lambda: (UINT32, struct.pack("<I", value)),
        float: lambda: (DOUBLE, struct.pack("<d", value)),
        str: lambda: (STRING, (value + "\0").encode("utf-16-le")),
        dict: lambda: (LEVEL, b""),
    }[type(value)]()
    start = struct.pack("<BB", kind, len(name) + 1) + label
    if kind != LEVEL:
        return start + packed
    records = [_record(*pair) for pair in value.items()]
    length = len(start) + 12 + sum(map(len, records))
    return start + struct.pack("<IQ", len(records), length) + b"".join(records) + bytes(8 * len(records))


def nd2_file(
    frames: NDArray[Any],
    names: tuple[str, ...],
    significant: int,
    calibration_um: float | None = None,
    left_out: tuple[int, ...] = (),
) -> bytes:
    """An ND2 file.

    Args:
        frames: (T, H, W, C) of uint8 or uint16; with one name and C = 3, colours.
        names: of the channels.
        significant: bits that the camera fills.
        calibration_um: the pixel size, or None for a microscope that was not calibrated.
        left_out: frames whose data are not written.
    """
    count, height, width, components = frames.shape
    each = components // len(names)
    attributes = {
        "uiWidth": width,
        "uiWidthBytes": width * components * frames.itemsize,
        "uiHeight": height,
        "uiComp": components,
        "uiBpcInMemory": 8 * frames.itemsize,
        "uiBpcSignificant": significant,
        "uiSequenceCount": count,
        "eCompression": 2,
    }
    planes = {
        f"a{index}": {
            "sDescription": name,
            "uiCompCount": each,
            "uiSampleIndex": index,
            "pFluorescentProbe": {"m_sName": name},
        }
        for index, name in enumerate(names)
    }
    picture = {
        "bCalibrated": calibration_um is not None,
        "dCalibration": 1.0 if calibration_um is None else calibration_um,
        "sPicturePlanes": {"uiCount": len(names), "uiCompCount": components, "sPlaneNew": planes},
    }
    loop = {"eType": 1, "uLoopPars": {"uiCount": count, "dStart": 0.0, "dPeriod": 100.0, "dDuration": 0.0}}

    file, chunks = bytearray(), []

    def chunk(name: bytes, data: bytes, name_length: int = 0) -> None:
        chunks.append((name, len(file), len(data)))
        padded = name.ljust(name_length or len(name), b"\0")
        file.extend(struct.pack("<IIQ", MAGIC, len(padded), len(data)) + padded + data)

    chunk(b"ND2 FILE SIGNATURE CHUNK NAME01!", b"Ver3.0".ljust(64, b"\0"))
    for number, frame in enumerate(frames):
        if number not in left_out:
            chunk(b"ImageDataSeq|%d!" % number, struct.pack("<d", 0.0) + frame.tobytes(), NAME_OF_DATA)
    chunk(b"ImageAttributesLV!", _record("SLxImageAttributes", attributes))
    chunk(b"ImageMetadataSeqLV|0!", _record("SLxPictureMetadata", picture))
    chunk(b"ImageMetadataLV!", _record("SLxExperiment", loop))
    start = len(file)
    listing = b"".join(name + struct.pack("<QQ", offset, size) for name, offset, size in chunks)
    end = b"ND2 CHUNK MAP SIGNATURE 0000001!" + struct.pack("<Q", start)
    chunk(b"ND2 FILEMAP SIGNATURE NAME 0001!", listing + end)
    return bytes(file)
