"""The weights as a file: plain tensors, half precision, loaded as data only."""

from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from pyrodrop.detection.network.architecture import CircleNetwork
from pyrodrop.detection.network.calibration import ByDoubt, Calibration

SHIPPED = Path(__file__).parents[1] / "weights.pt"
FORMAT = 4


class TrainedNetwork(NamedTuple):
    """A network with its calibration."""

    network: CircleNetwork
    calibration: Calibration


def to_data(trained: TrainedNetwork) -> dict[str, Tensor]:
    """What is written: tensors only, convolutions in half precision."""
    state = {k: v for k, v in trained.network.state_dict().items() if not k.endswith("num_batches_tracked")}
    state = {f"network.{k}": v.half() if v.dim() > 1 else v.float() for k, v in state.items()}
    return {
        "format": torch.tensor(FORMAT),
        "widths": torch.tensor(trained.network.widths),
        "calibration": torch.tensor(trained.calibration[:2], dtype=torch.float64),
        "by_doubt": torch.tensor(trained.calibration.by_doubt, dtype=torch.float64),
        **{k: v.detach().cpu().contiguous() for k, v in state.items()},
    }


def from_data(data: dict[str, Tensor]) -> TrainedNetwork:
    """The network of what was written, its normalisations still apart, so that it can learn on.

    Raises:
        ValueError: this is no network of this version.
    """
    written = int(data["format"]) if isinstance(data, dict) and "format" in data else None
    if written != FORMAT:
        raise ValueError(
            f"these weights are of format {written}, expected {FORMAT}: train them again with this version of pyrodrop"
        )
    if not {"widths", "calibration", "by_doubt"} <= data.keys():
        raise ValueError("these weights lack their widths or their calibration: the file is not whole")
    with torch.random.fork_rng(devices=[]):  # the first values, which are replaced, are none of the caller's stream
        network = CircleNetwork([int(n) for n in data["widths"]])
    state = {k.removeprefix("network."): v.float() for k, v in data.items() if k.startswith("network.")}
    missing, unknown = network.load_state_dict(state, strict=False)
    missing = [name for name in missing if not name.endswith("num_batches_tracked")]
    if missing or unknown:
        raise ValueError(
            f"these weights lack {missing[:3]} and have {unknown[:3]} besides: they are of another network"
        )
    summed, said = data["calibration"].tolist()
    return TrainedNetwork(network, Calibration(tuple(summed), tuple(said), ByDoubt(*data["by_doubt"].tolist())))


def read_weights(path: Path) -> TrainedNetwork:
    """A network from a file, on the CPU.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it holds no weights, or those of another version.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no weights at {path}: train some with python -m pyrodrop.detection.train")
    try:
        data = torch.load(path, map_location="cpu", weights_only=True)
    except OSError:
        raise
    except Exception as error:  # of what is no such file torch, pickle and zipfile each raise what they like
        raise ValueError("this is no file of weights: give one that pyrodrop learn wrote") from error
    return from_data(data)


def network_for_use(path: Path = SHIPPED, device: str = "cpu") -> TrainedNetwork:
    """The network of a file, folded, on a device, ready to propose; read once as long as the file stays as it is.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it holds no weights, or those of another version.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no weights at {path}: train some with python -m pyrodrop.detection.train")
    status = path.stat()
    return _folded(path, device, (status.st_mtime_ns, status.st_size, status.st_ino))


@lru_cache(maxsize=4)
def _folded(path: Path, device: str, mark: tuple[int, int, int]) -> TrainedNetwork:
    """The network of a file as of this time, size and inode."""
    trained = read_weights(path)
    network = trained.network.folded().to(device).to(memory_format=torch.channels_last)
    return TrainedNetwork(network, trained.calibration)
