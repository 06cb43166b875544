"""The door for image files: which kind a file is, who reads it, and one clear line where it cannot be read."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from pyrodrop.images.errors import ImageError
from pyrodrop.images.reading.frames import frame_number
from pyrodrop.images.reading.raw_image import RawImage
from pyrodrop.images.reading.size_limits import too_large

TIFF_MARKS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
NIKON_MARKS = (b"\xda\xce\xbe\x0a", b"\0\0\0\x0cjP  ")


def read_image_file(path: Path, frame: int | None = None, want_pixel_size: bool = True) -> RawImage:
    """One picture of an image file, as it stores it, upright.

    Args:
        path: a PNG, JPEG, TIFF, OME-TIFF, BMP, GIF, WebP or Nikon file.
        frame: which picture of several, counted from 0; None for the only one.
        want_pixel_size: whether to look for the pixel size, which may be a reason to refuse the file.

    Raises:
        ImageError: the file is missing, no image, cut, or would be read wrongly; or there is no such frame.
    """
    frame = frame_number(frame)
    with _in_one_line(path):
        return _read(path, frame, want_pixel_size)


def count_frames(path: Path) -> int:
    """How many pictures an image file holds, over times, depths and pages; of a camera's MPO, one.

    Raises:
        ImageError: the file is missing, no image, or so damaged that they cannot be counted.
    """
    with _in_one_line(path):
        return _count(path)


@contextmanager
def _in_one_line(path: Path) -> Iterator[None]:
    """Turn whatever is wrong with a file into an ImageError of one line."""
    try:
        _check_file(path)
        yield
    except ImageError:
        raise
    except UnidentifiedImageError:
        raise ImageError(
            f"{path} is not an image of a kind that can be read, or its beginning is damaged: "
            "give a PNG, JPEG, TIFF, OME-TIFF, BMP, GIF, WebP or ND2 file."
        ) from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise ImageError(too_large(path)) from None
    except PermissionError:
        raise ImageError(f"{path} may not be read: ask for permission to read it.") from None
    except MemoryError:
        raise ImageError(f"{path} does not fit into memory: crop it or scale it down.") from None
    # A damaged file may raise anything in the decoders; none of it is the caller's bug.
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ImageError(f"{path} is cut short or damaged ({reason:.200}): copy or export it again.") from error


def _mark(path: Path) -> bytes:
    """The bytes that tell of which kind a file is."""
    with path.open("rb") as stream:
        return stream.read(8)


def _count(path: Path) -> int:
    mark = _mark(path)
    if mark.startswith(TIFF_MARKS):
        from pyrodrop.images.reading.tiff import count_tiff

        return count_tiff(path)
    if mark.startswith(NIKON_MARKS):
        _check_nikon(path, mark)
        from pyrodrop.images.reading.nikon import count_nikon

        return count_nikon(path)
    from pyrodrop.images.reading.pillow_formats import count_pictures

    return count_pictures(path)


def _check_nikon(path: Path, mark: bytes) -> None:
    """Early ND2 files begin as any JPEG 2000 does; only their name tells."""
    if mark.startswith(NIKON_MARKS[1]) and path.suffix.lower() != ".nd2":
        raise ImageError(f"{path} is a JPEG 2000 file, which is not read: save it as PNG or TIFF.")


def _read(path: Path, frame: int | None, want_pixel_size: bool) -> RawImage:
    mark = _mark(path)
    # Each reader brings its libraries, which the others do not need.
    if mark.startswith(TIFF_MARKS):
        from pyrodrop.images.reading.tiff import read_tiff

        return read_tiff(path, frame, want_pixel_size)
    if mark.startswith(NIKON_MARKS):
        _check_nikon(path, mark)
        from pyrodrop.images.reading.nikon import read_nikon

        return read_nikon(path, frame, want_pixel_size)
    from pyrodrop.images.reading.pillow_formats import read_picture

    return read_picture(path, frame, want_pixel_size)


def _check_file(path: Path) -> None:
    try:
        exists, is_file = path.exists(), path.is_file()
        size = path.stat().st_size if is_file else 0
    except (OSError, ValueError) as error:
        raise ImageError(f"{str(path)!r} is not a usable file name ({error}).") from None
    if not exists:
        raise ImageError(f"{path} does not exist: check the name and the folder.")
    if not is_file:
        what = "a folder" if path.is_dir() else "not a regular file"
        raise ImageError(f"{path} is {what}: give the name of one image file.")
    if size == 0:
        raise ImageError(f"{path} is empty (0 bytes): copy or export it again.")
