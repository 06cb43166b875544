"""The Triton kernels against the reference: on the CPU under Triton's interpreter, and on a GPU where there is one.

Triton decides when it is imported whether it interprets. So that this process stays as it is, the interpreter draws
all cases in a process of its own, which is this file run as a script.
"""

import os
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor
from torch.fx.experimental.proxy_tensor import make_fx

from pyrodrop.rendering import render
from pyrodrop.rendering.kernels import tiles
from pyrodrop.rendering.kernels.tiles import (
    BAND,
    CHUNK,
    COLUMNS,
    ROWS,
    STRIPS,
    SUPPORT_RADII,
    half_squares_tiles,
    render_tiles,
)

pytest.importorskip("triton")
NAMES = ("x", "y", "r", "amplitude", "bg")


class Case(NamedTuple):
    """Droplets, a channel to explain and a weight for each pixel of the image."""

    droplets: tuple[Tensor, ...]  # x, y, r, amplitude, bg
    channel: Tensor
    weight: Tensor

    @property
    def size(self) -> tuple[int, int]:
        return self.weight.shape[-2], self.weight.shape[-1]


def case(
    size: tuple[int, int],
    n: int,
    batch: tuple[int, ...] = (),
    dtype: torch.dtype = torch.float64,
    radii: tuple[float, float] = (0.5, 12.0),
    channels: bool = False,
    **given: list[float],
) -> Case:
    """Random droplets in and around an image; what is given is taken instead, for each of the batch."""
    generator = torch.Generator().manual_seed(n + sum(size))

    def uniform(*shape: int, low: float = 0.0, high: float = 1.0) -> Tensor:
        return low + (high - low) * torch.rand(shape, generator=generator, dtype=torch.float64)

    (height, width), (least, most) = size, radii
    drawn = {
        "x": uniform(*batch, n, low=-0.3 * width, high=1.3 * width),
        "y": uniform(*batch, n, low=-0.3 * height, high=1.3 * height),
        "r": least * (most / least) ** uniform(*batch, n),
        "amplitude": uniform(*batch, n, low=-1.0),
        "bg": uniform(*batch),
    }
    for name, values in given.items():
        drawn[name] = torch.tensor(values, dtype=torch.float64).expand(*batch, n)
    channel = uniform(*(batch if channels else ()), height, width)
    weight = uniform(*batch, height, width, low=-1.0)
    return Case(tuple(drawn[name].to(dtype) for name in NAMES), channel.to(dtype), weight.to(dtype))


CASES: dict[str, Case] = {
    "one image": case((40, 70), 6),
    "one image, float32": case((40, 70), 6, dtype=torch.float32),
    "a batch": case((20, 33), 4, batch=(3,)),
    "a batch, float32": case((20, 33), 4, batch=(3,), dtype=torch.float32),
    "two leading dimensions, a channel each": case((17, 12), 3, batch=(2, 2), channels=True),
    "several bands of rows": case((2 * BAND + 3, 9), 5),
    "one pixel": case((1, 1), 2),
    "one row": case((1, COLUMNS + 1), 3),
    "no droplets": case((10, 12), 0, batch=(2,)),
    "no images": case((10, 12), 3, batch=(0,)),
    "more in a tile than are tested at once": case((ROWS, 9), 40, radii=(0.3, 3.0)),
    "radii": case((30, 34), 9, r=[0.1, 0.1, 0.2, 0.5, 1, 6, 40, 300, 1e4], x=[4.0] + [9.3] * 8, y=[7.0] + [11.6] * 8),
    "radii, float32": case((30, 34), 6, dtype=torch.float32, r=[0.1, 0.2, 1, 40, 300, 1e4], x=[4.0] * 6, y=[7.0] * 6),
    "zero amplitude": case((12, 20), 3, amplitude=[0.0, 0.0, 0.0]),
    "far outside": case((15, 20), 6, dtype=torch.float32, x=[-1e3, 1e3, 5, 5, 1e30, -1e30], y=[5, 5, -1e3, 1e9, 3, 3]),
    "at the edges": case((16, 64), 4, x=[-1.0, 64.0, 30.0, 63.9], y=[8.0, 8.0, -1.0, 16.0], r=[1.0, 1.0, 2.0, 0.4]),
}
BATCHES = [name for name, of in CASES.items() if of.droplets[4].numel() > 1]
INSIDE = {"x": [9.0, 35.0], "y": [2.0, 3.0], "r": [1.0, 4.0], "amplitude": [0.5, 0.7]}
FAULTY = {
    name: case((6, 70), 2, dtype=torch.float32, **INSIDE | {name: [INSIDE[name][0], float("nan")]}) for name in INSIDE
}


def derived(value: Tensor, droplets: tuple[Tensor, ...]) -> dict[str, Tensor]:
    """The value and its gradient by each of the five."""
    gradients = torch.autograd.grad(value.sum(), droplets)
    return {"value": value.detach(), **dict(zip(NAMES, gradients, strict=True))}


def answers(
    of: Case, render: Callable[..., Tensor], half_squares: Callable[..., Tensor]
) -> dict[str, dict[str, Tensor]]:
    """What a kernel makes of a case, with gradients: the image, weighted, and the half sum of squares."""
    droplets = tuple(t.clone().requires_grad_() for t in of.droplets)
    image = render(*droplets, of.size)
    made = {"image": derived(image * of.weight, droplets)}
    made["image"]["value"] = image.detach()
    made["half squares"] = derived(half_squares(*droplets, of.channel), droplets)
    return made


def tiled(of: Case) -> dict[str, dict[str, Tensor]]:
    """What the tiles make of a case: called outright, again, and through vmap where there is a batch."""
    made = answers(of, render_tiles, half_squares_tiles)
    if of.droplets[4].numel() > 1:
        again = answers(of, render_tiles, half_squares_tiles)
        made |= {f"{name}, again": again[name] for name in again}
    if of.droplets[4].numel() > 1:
        where = (0,) * 5 + (0 if of.channel.dim() > 2 else None,)
        made |= {
            f"{name}, mapped": answer
            for name, answer in answers(
                of,
                lambda *given: torch.func.vmap(lambda *one: render_tiles(*one, given[-1]))(*given[:-1]),
                torch.func.vmap(half_squares_tiles, in_dims=where),
            ).items()
        }
    return made


def expected(of: Case) -> dict[str, dict[str, Tensor]]:
    """The same by the reference in float64, which has no cut-off."""
    exact = Case(tuple(t.double() for t in of.droplets), of.channel.double(), of.weight.double())

    def half_squares(*given: Tensor) -> Tensor:
        return (render(*given[:5], of.size, kernel="reference") - given[5]).square().sum((-2, -1)) / 2

    return answers(exact, partial(render, kernel="reference"), half_squares)


def moved(of: Any, device: str) -> Any:
    """Tensors in tuples and dictionaries, on a device."""
    if isinstance(of, Tensor):
        return of.to(device)
    if isinstance(of, dict):
        return {name: moved(part, device) for name, part in of.items()}
    return (
        type(of)(*(moved(part, device) for part in of)) if isinstance(of, Case) else tuple(moved(p, device) for p in of)
    )


def draw_all(device: str) -> dict[str, Any]:
    """All answers of the tiles, drawn on a device and brought to the CPU."""
    made = {name: moved(tiled(moved(of, device)), "cpu") for name, of in CASES.items()}
    faulty = {name: render_tiles(*moved(of.droplets, device), of.size).cpu() for name, of in FAULTY.items()}
    return {"made": made, "faulty": faulty}


NO_GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device here")


@pytest.fixture(scope="module", params=["interpreter", pytest.param("cuda", marks=NO_GPU)])
def drawn(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """All answers of the tiles, from Triton's interpreter or from a GPU."""
    if request.param == "cuda":
        return draw_all("cuda")
    path = tmp_path_factory.mktemp("tiles") / "drawn.pt"
    run = subprocess.run(
        [sys.executable, __file__, str(path)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "TRITON_INTERPRET": "1", "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert run.returncode == 0, run.stderr
    made: dict[str, Any] = torch.load(path, weights_only=True)
    return made


def assert_close(got: Tensor, want: Tensor, tolerance: float) -> None:
    """Equal up to a part of the largest number that was wanted."""
    assert got.shape == want.shape
    scale = max(1.0, want.abs().max().item()) if want.numel() else 1.0
    torch.testing.assert_close(got.double(), want, rtol=0.0, atol=tolerance * scale)


@pytest.mark.parametrize("what", ["image", "half squares"])
@pytest.mark.parametrize("name", CASES)
def test_values_and_gradients_are_those_of_the_reference(drawn: dict[str, Any], name: str, what: str) -> None:
    of, got, want = CASES[name], drawn["made"][name][what], expected(CASES[name])[what]
    exact = of.channel.dtype == torch.float64
    assert got["value"].dtype == of.channel.dtype
    for part in ("value", *NAMES):
        # The gradient by a small radius leaves out most: up to 25 exp(-12.5) amplitude / r at each pixel.
        assert_close(got[part], want[part], 1e-12 if exact else 1e-5 if part in ("value", "bg") else 2e-4)


@pytest.mark.parametrize("name", BATCHES)
def test_the_same_input_gives_the_same_bits_also_through_vmap(drawn: dict[str, Any], name: str) -> None:
    made = drawn["made"][name]
    for what in ("image", "half squares"):
        for part in ("value", *NAMES):
            assert torch.equal(made[f"{what}, again"][part], made[what][part])
            assert torch.equal(made[f"{what}, mapped"][part], made[what][part])


@pytest.mark.parametrize("name", [name for name, of in CASES.items() if of.channel.dtype == torch.float32])
def test_the_cut_off_keeps_its_bound_on_the_image(drawn: dict[str, Any], name: str) -> None:
    got, want = drawn["made"][name]["image"]["value"], expected(CASES[name])["image"]["value"]
    amplitudes = CASES[name].droplets[3].double().abs().sum(-1)[..., None, None]
    rounding = 1e-6 * (1 + want.abs())
    assert ((got.double() - want).abs() <= amplitudes * 4e-6 + rounding).all()


@pytest.mark.parametrize("name", FAULTY)
def test_a_droplet_that_is_not_a_number_is_seen(drawn: dict[str, Any], name: str) -> None:
    assert render(*FAULTY[name].droplets, FAULTY[name].size, kernel="reference").isnan().any()
    assert drawn["faulty"][name].isnan().any()


def test_a_graph_keeps_each_op_whole() -> None:
    def value_and_gradient(*given: Tensor) -> tuple[Tensor, ...]:
        with torch.enable_grad():
            droplets = tuple(t.detach().requires_grad_() for t in given[:5])
            half_squares = half_squares_tiles(*droplets, given[5])
            image = render_tiles(*droplets, CASES["a batch"].size)
            return torch.autograd.grad(half_squares.sum() + image.sum(), droplets)

    of = CASES["a batch"]
    graph = make_fx(value_and_gradient, tracing_mode="fake")(*of.droplets, of.channel)
    ops = [str(node.target) for node in graph.graph.nodes if "pyrodrop" in str(node.target)]
    assert sorted(ops) == [
        f"pyrodrop.{op}.default" for op in ("half_squares_tiles", "render_tiles", "render_tiles_backward")
    ]


@pytest.mark.parametrize("dtype", ["fp32", "fp64"])
@pytest.mark.parametrize("name", ["list_bands", "draw_tiles", "gather_gradients"])
def test_the_kernels_compile_for_a_gpu_that_is_not_here(
    name: str, dtype: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The interpreter lets through what the compiler does not; this asks the compiler, for Ampere and Hopper."""
    import triton
    from triton.backends.compiler import GPUTarget

    from pyrodrop.rendering.kernels import tiles_triton as tile_kernels

    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    constants: dict[str, Any] = {"CUT": SUPPORT_RADII[torch.float32], "BAND": BAND, "CHUNK": CHUNK, "ROWS": ROWS}
    constants |= {"COLUMNS": COLUMNS, "STRIPS": STRIPS, "RESIDUAL": True}
    numbers = {"height": "i32", "width": "i32", "droplets": "i32", "channel_stride": "i32", "total": "i32"}
    whole = {"listed": "*i32", "counts": "*i32", **numbers, **dict.fromkeys(constants, "constexpr")}
    kernel = getattr(tile_kernels, name)
    signature = {argument: whole.get(argument, f"*{dtype}") for argument in kernel.arg_names}
    source = triton.compiler.ASTSource(
        kernel, signature, {argument: constants[argument] for argument in signature if argument in constants}
    )
    for capability in (80, 90):
        options = {"num_warps": 1, "enable_fp_fusion": True}
        made = triton.compile(source, target=GPUTarget("cuda", capability, 32), options=options)
        assert made.metadata.shared <= 48 * 1024
        assert f"sm_{capability}" in made.asm["ptx"]


def test_tensors_on_the_cpu_are_refused() -> None:
    of = CASES["one image"]
    with pytest.raises(ValueError, match=r"for CUDA and x is on cpu"):
        render_tiles(*of.droplets, of.size)


def test_half_precision_is_refused() -> None:
    of = CASES["one image"]
    with pytest.raises(ValueError, match=r"float32 or float64 and got torch\.float16"):
        render_tiles(*(t.half() for t in of.droplets), of.size)


def test_a_channel_of_another_batch_is_refused() -> None:
    of = CASES["one image"]
    with pytest.raises(ValueError, match=r"channel has shape \(1, 40, 70\)"):
        half_squares_tiles(*of.droplets, of.channel[None])


def test_without_triton_the_message_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "triton", None)
    monkeypatch.delitem(sys.modules, "pyrodrop.rendering.kernels.tiles_triton", raising=False)
    monkeypatch.delattr(sys.modules["pyrodrop.rendering.kernels"], "tiles_triton", raising=False)
    of = CASES["one image"]
    with pytest.raises(ImportError, match="needs Triton"):
        render_tiles(*of.droplets, of.size)


if __name__ == "__main__":
    # Fewer droplets then fill the kernels' loops, and the interpreter, which is slow, has fewer programs to run.
    tiles.CHUNK, tiles.STRIPS = 32, 2
    torch.save(draw_all("cpu"), sys.argv[1])
