"""Do the source archive and the wheel hold what they should? python .ci/check_archives.py FOLDER"""

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

# In the repository, and of no use to who has unpacked an archive.
NOT_IN_THE_ARCHIVE = {".gitignore", ".dockerignore"}


def only(folder: Path, pattern: str) -> Path:
    """The one file of a name in a folder."""
    (path,) = folder.glob(pattern)
    return path


def in_archive(path: Path) -> set[str]:
    """The files of a source archive, without the folder that holds them all."""
    with tarfile.open(path) as archive:
        return {name.partition("/")[2] for name in archive.getnames()}


def in_wheel(path: Path) -> set[str]:
    with zipfile.ZipFile(path) as archive:
        return set(archive.namelist())


def main(folder: Path) -> None:
    listed = subprocess.run(["git", "ls-files", "-z"], check=True, capture_output=True, text=True).stdout
    tracked = {name for name in listed.split("\0") if name} - NOT_IN_THE_ARCHIVE
    archive, wheel = in_archive(only(folder, "*.tar.gz")), in_wheel(only(folder, "*.whl"))

    assert tracked <= archive, f"the source archive lacks {sorted(tracked - archive)}; see MANIFEST.in"
    code = {name for name in tracked if name.startswith("pyrodrop/")}
    assert code <= wheel, f"the wheel lacks {sorted(code - wheel)}; see setup.cfg"
    strange = {name for name in wheel if name.partition("/")[0] != "pyrodrop" and ".dist-info/" not in name}
    assert not strange, f"the wheel also holds {sorted(strange)}"
    print(f"{len(archive)} names in the source archive, {len(wheel)} in the wheel")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
