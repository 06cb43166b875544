"""What every kernel must keep: the oracle's values and gradients, whatever the droplets."""

import math
from typing import ClassVar

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.fx.experimental.proxy_tensor import make_fx

from pyrodrop.rendering import log_likelihood, render, renderer
from pyrodrop.rendering.kernels.bands import operators
from pyrodrop.rendering.kernels.separable import render_separable

quiet = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-9}


def droplets(
    seed: int, batch: tuple[int, ...], number: int, size: tuple[int, int], largest: float, dtype: torch.dtype
) -> list[Tensor]:
    """Centres in and around the image, radii from 0.1 px to ``largest``, amplitudes of which some are zero."""
    g = torch.Generator().manual_seed(seed)
    height, width = size

    def uniform(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(*batch, number, generator=g, dtype=torch.float64)

    x, y = uniform(-0.5 * width, 1.5 * width), uniform(-0.5 * height, 1.5 * height)
    r = uniform(math.log(0.1), math.log(largest)).exp()
    amplitude = uniform(-1, 1) * (uniform(0, 1) > 0.1)
    bg = torch.rand(batch, generator=g, dtype=torch.float64)
    # Both kernels get the numbers as the dtype holds them.
    return [t.to(dtype).requires_grad_() for t in (x, y, r, amplitude, bg)]


def doubled(leaves: list[Tensor]) -> list[Tensor]:
    return [t.detach().double().requires_grad_() for t in leaves]


def gradient_scales(leaves: list[Tensor], size: tuple[int, int], by_image: Tensor) -> list[Tensor]:
    """What each gradient would be at most if all of by_image had one sign: errors are measured against it."""
    r, amplitude = (t.detach().double().abs() for t in leaves[2:4])
    pixels = (2 * math.pi * r**2 + 1).clamp(max=float(size[0] * size[1]))
    weight = by_image.detach().double().abs().amax((-2, -1), keepdim=False)[..., None] * pixels
    return [weight * amplitude / r, weight * amplitude / r, weight * amplitude / r, weight]


class KernelContract:
    kernel: ClassVar[str]

    @pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
    @quiet
    @given(
        seed=st.integers(0, 10**6),
        batch=st.sampled_from([(), (1,), (3,), (2, 2), (0,)]),
        number=st.integers(0, 20),
        height=st.integers(1, 90),
        width=st.integers(1, 90),
        largest=st.sampled_from([0.5, 3.0, 11.9, 40.0, 500.0]),
    )
    def test_values_and_gradients_are_the_oracles(
        self,
        dtype: torch.dtype,
        seed: int,
        batch: tuple[int, ...],
        number: int,
        height: int,
        width: int,
        largest: float,
    ) -> None:
        size = (height, width)
        tolerance = TOLERANCE[dtype]
        leaves = droplets(seed, batch, number, size, largest, dtype)
        exact = doubled(leaves)
        image = render(*leaves, size, kernel=self.kernel)
        truth = render(*exact, size, kernel="reference")
        assert image.shape == truth.shape == (*batch, *size)
        assert image.dtype == dtype
        # The image that the same droplets would make if none took away from another.
        size_of = [t.detach().abs() if i > 2 else t.detach() for i, t in enumerate(exact)]
        largest_value = max(1.0, float(render(*size_of, size, kernel="reference").max())) if truth.numel() else 1.0
        torch.testing.assert_close(image.double(), truth, rtol=0, atol=tolerance * largest_value)

        weights = torch.randn(truth.shape, generator=torch.Generator().manual_seed(seed + 1), dtype=dtype)
        found = torch.autograd.grad((image * weights).sum(), leaves)
        expected = torch.autograd.grad((truth * weights.double()).sum(), exact)
        self.compare(leaves, size, weights, found, expected, tolerance)

        channel = torch.randn(size, generator=torch.Generator().manual_seed(seed + 2), dtype=dtype)
        value = log_likelihood(*leaves, channel, 0.5, kernel=self.kernel)
        oracle = log_likelihood(*exact, channel.double(), 0.5, kernel="reference")
        torch.testing.assert_close(value.double(), oracle, rtol=10 * tolerance, atol=10 * tolerance)
        found = torch.autograd.grad(value.sum(), leaves)
        expected = torch.autograd.grad(oracle.sum(), exact)
        self.compare(leaves, size, (truth.detach() - channel) / 0.25, found, expected, tolerance)

    def compare(
        self,
        leaves: list[Tensor],
        size: tuple[int, int],
        by_image: Tensor,
        found: tuple[Tensor, ...],
        expected: tuple[Tensor, ...],
        tolerance: float,
    ) -> None:
        if not by_image.numel():
            return
        scales = gradient_scales(leaves, size, by_image)
        for one, other, scale in zip(found[:4], expected[:4], scales, strict=True):
            assert bool(((one.double() - other).abs() <= tolerance * scale + 1e-12).all())
        atol = tolerance * float(by_image.abs().sum((-2, -1)).max())
        torch.testing.assert_close(found[4].double(), expected[4], rtol=0, atol=atol)

    def test_leading_dimensions_broadcast(self) -> None:
        x, y, r, amplitude, bg = (t.detach() for t in droplets(0, (3,), 4, (12, 15), 6.0, torch.float32))
        whole = render(x, y[0], r[:1], amplitude, bg[0], (12, 15), kernel=self.kernel)
        parts = [render(x[i], y[0], r[0], amplitude[i], bg[0], (12, 15), kernel=self.kernel) for i in range(3)]
        torch.testing.assert_close(whole, torch.stack(parts))

    def test_droplets_far_away_leave_the_background(self) -> None:
        far = torch.tensor([1e30, -1e30, 1e6, -1e6])
        ones = torch.ones(4)
        leaves = [t.requires_grad_() for t in (far, far.clone(), ones.clone(), ones.clone())]
        image = render(*leaves, torch.tensor(0.5), (9, 11), kernel=self.kernel)
        assert bool((image == 0.5).all())
        for gradient in torch.autograd.grad(image.sum(), leaves):
            assert bool((gradient == 0).all())

    def test_not_a_number_is_seen_in_the_result(self) -> None:
        for odd in range(4):
            values = [torch.full((2,), 3.0) for _ in range(4)]
            values[odd][1] = math.nan
            image = render(*values, torch.tensor(0.0), (40, 50), kernel=self.kernel)
            assert bool(image.isnan().any())

    def test_equal_arguments_give_equal_bits(self) -> None:
        leaves = droplets(5, (2,), 50, (200, 130), 60.0, torch.float32)
        channel = torch.randn(200, 130, generator=torch.Generator().manual_seed(0))
        results = []
        for _ in range(3):
            value = log_likelihood(*leaves, channel, 0.1, kernel=self.kernel)
            results.append((value, *torch.autograd.grad(value.sum(), leaves)))
        for result in results[1:]:
            for one, other in zip(result, results[0], strict=True):
                assert torch.equal(one, other)

    @pytest.mark.parametrize("batch", [(1,), (3,), (2, 2), (0,)])
    def test_each_of_a_batch_may_have_its_own_channel(self, batch: tuple[int, ...]) -> None:
        leaves = droplets(7, batch, 6, (70, 41), 30.0, torch.float64)
        channels = torch.randn(*batch, 70, 41, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        value = log_likelihood(*leaves, channels, 0.1, kernel=self.kernel)
        gradients = torch.autograd.grad(value.sum(), leaves)
        assert value.shape == batch
        rows = [t.detach().reshape(-1, *t.shape[len(batch) :]) for t in leaves]
        for row, channel in enumerate(channels.reshape(-1, 70, 41)):
            own = [t[row].clone().requires_grad_() for t in rows]
            alone = log_likelihood(*own, channel, 0.1, kernel=self.kernel)
            torch.testing.assert_close(value.reshape(-1)[row], alone, rtol=1e-12, atol=1e-12)
            for whole, part in zip(gradients, torch.autograd.grad(alone, own), strict=True):
                found = whole.reshape(-1, *part.shape)[row]
                torch.testing.assert_close(found, part, rtol=1e-10, atol=1e-10)

    @pytest.mark.parametrize("batch", [(3,), (3, 2)])
    def test_channels_are_mapped_over_with_their_droplets(self, batch: tuple[int, ...]) -> None:
        """One channel for all that vmap maps with it, of whatever leading dimensions of their own."""
        leaves = droplets(8, batch, 6, (35, 41), 30.0, torch.float64)
        channels = torch.randn(3, 35, 41, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        value = torch.func.vmap(lambda *t: log_likelihood(*t, 0.1, kernel=self.kernel))(*leaves, channels)
        of_each = channels.reshape(3, *(1,) * (len(batch) - 1), 35, 41).expand(*batch, 35, 41)
        expected = log_likelihood(*leaves, of_each, 0.1, kernel=self.kernel)
        torch.testing.assert_close(value, expected, rtol=1e-12, atol=1e-12)
        found, own = (torch.autograd.grad(one.sum(), leaves) for one in (value, expected))
        for one, other in zip(found, own, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-10)

    def test_first_derivatives_are_those_of_small_differences(self) -> None:
        leaves = droplets(0, (2,), 3, (6, 7), 3.0, torch.float64)
        torch.autograd.gradcheck(lambda *t: render(*t, (6, 7), kernel=self.kernel), leaves)

    @pytest.mark.global_rng
    def test_second_derivatives_are_those_of_small_differences(self) -> None:
        leaves = droplets(0, (2,), 3, (6, 7), 3.0, torch.float64)
        torch.autograd.gradgradcheck(lambda *t: render(*t, (6, 7), kernel=self.kernel), leaves)

    @pytest.mark.parametrize("batch", [(), (2,)])
    def test_hessian_of_the_likelihood_is_the_oracles(self, batch: tuple[int, ...]) -> None:
        leaves = droplets(3, batch, 3, (16, 17), 4.0, torch.float64)
        channel = torch.randn(16, 17, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        hessians = []
        for kernel in (self.kernel, "reference"):

            def likelihood(*t: Tensor, kernel: str = kernel) -> Tensor:
                return log_likelihood(*t, channel, 0.5, kernel=kernel).sum()

            rows = torch.autograd.functional.hessian(likelihood, tuple(t.detach() for t in leaves))
            hessians.append(torch.cat([block.reshape(-1) for row in rows for block in row]))
        torch.testing.assert_close(hessians[0], hessians[1], rtol=1e-9, atol=1e-9 * float(hessians[1].abs().max()))

    def test_a_gradient_that_keeps_its_graph_is_the_plain_one(self) -> None:
        leaves = droplets(4, (2,), 5, (20, 22), 20.0, torch.float32)
        channel = torch.zeros(20, 22)
        value = log_likelihood(*leaves, channel, 0.5, kernel=self.kernel).sum()
        plain = torch.autograd.grad(value, leaves, retain_graph=True)
        for one, other in zip(torch.autograd.grad(value, leaves, create_graph=True), plain, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4 * float(other.abs().max()))

    def test_a_graph_can_be_captured(self) -> None:
        leaves = [t.detach() for t in droplets(2, (), 5, (20, 30), 6.0, torch.float32)]
        channel = torch.randn(20, 30, generator=torch.Generator().manual_seed(0))

        def gradient(*arguments: Tensor) -> tuple[Tensor, ...]:
            wanted = [t.detach().requires_grad_() for t in arguments[:5]]
            return torch.autograd.grad(log_likelihood(*wanted, arguments[5], 0.1, kernel=self.kernel), wanted)

        graph = make_fx(gradient)(*leaves, channel)
        other = [t.detach() for t in droplets(3, (), 5, (20, 30), 6.0, torch.float32)]
        for one, two in zip(graph(*other, channel), gradient(*other, channel), strict=True):
            torch.testing.assert_close(one, two)


class TestSeparable(KernelContract):
    kernel = "separable"


class TestBands(KernelContract):
    kernel = "bands"

    @pytest.mark.global_rng
    @pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor")  # opcheck looks at its own copies
    @pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
    def test_operators_are_sound(self, dtype: torch.dtype) -> None:
        leaves = droplets(1, (2,), 4, (20, 22), 30.0, dtype)
        channel = torch.zeros(20, 22, dtype=dtype)
        plain = [t.detach() for t in leaves]
        torch.library.opcheck(operators._half_squares, (*leaves, channel))
        torch.library.opcheck(operators._image, (*leaves, 20, 22))
        torch.library.opcheck(operators._vjp, (*plain, torch.ones(2, 20, 22, dtype=dtype)))

    @pytest.mark.global_rng
    def test_whole_under_compile(self) -> None:
        validates = torch.distributions.Distribution._validate_args
        leaves = droplets(1, (), 4, (20, 22), 30.0, torch.float32)
        channel = torch.zeros(20, 22)
        compiled = torch.compile(
            lambda *t: log_likelihood(*t, 0.1, kernel="bands"), fullgraph=True, backend="aot_eager"
        )
        try:
            found = compiled(*leaves, channel)
        finally:
            # torch.compile switches this off for everybody.
            torch.distributions.Distribution.set_default_validate_args(validates)
        torch.testing.assert_close(found, log_likelihood(*leaves, channel, 0.1, kernel="bands"))

    def test_bits_do_not_depend_on_the_number_of_threads(self) -> None:
        leaves = droplets(5, (2,), 50, (200, 130), 60.0, torch.float32)
        channel = torch.randn(200, 130, generator=torch.Generator().manual_seed(0))
        before = torch.get_num_threads()
        results = []
        try:
            for threads in (1, 2, 3):
                torch.set_num_threads(threads)
                value = log_likelihood(*leaves, channel, 0.1, kernel="bands")
                results.append((value, *torch.autograd.grad(value.sum(), leaves)))
        finally:
            torch.set_num_threads(before)
        for result in results[1:]:
            for one, other in zip(result, results[0], strict=True):
                assert torch.equal(one, other)

    @pytest.mark.parametrize("radius", [0.1, 0.5, 2.0, 11.9, 12.0, 13.0, 24.0, 100.0, 300.0, 1e4])
    def test_one_droplet_keeps_the_stated_bound(self, radius: float) -> None:
        size = (150, 161)
        leaves = [torch.tensor([v]) for v in (70.3, 81.8, radius, 1.0)]
        image = render(*leaves, torch.tensor(0.0), size, kernel="bands")
        truth = render(*(t.double() for t in leaves), torch.tensor(0.0).double(), size, kernel="reference")
        assert float((image - truth).abs().max()) < 4e-6


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kernel": "fast"}, "kernel 'fast' is unknown"),
        ({"profile": "square"}, "profile 'square' is unknown"),
        ({"size": (0, 5)}, "at least 1"),
        ({"size": (4.5, 5)}, "in whole pixels"),
        ({"size": 4}, "in whole pixels"),
        ({"x": [1.0, 1.0]}, "x is of type list"),
        ({"kernel": "bands"} | dict.fromkeys(("x", "y", "r", "amplitude", "bg"), torch.ones(2).half()), "float16"),
        ({"x": torch.zeros(3)}, "have shapes"),
        ({"x": torch.zeros(2).double()}, "float64"),
        ({"x": torch.zeros(2, dtype=torch.int64)}, "floating point"),
    ],
)
def test_what_does_not_fit_is_named(change: dict[str, object], message: str) -> None:
    arguments: dict[str, object] = dict.fromkeys(("x", "y", "r", "amplitude"), torch.ones(2))
    arguments |= {"bg": torch.tensor(0.0), "size": (4, 5)} | change
    with pytest.raises(ValueError, match=message):
        render(**arguments)


def test_a_kernel_that_is_added_to_the_table_draws_images_and_their_likelihood(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """And not another kernel in its place."""
    monkeypatch.setitem(renderer._OF_GAUSSIANS, "halved", lambda *given: render_separable(*given) / 2)
    monkeypatch.setattr(renderer, "KERNELS", (*renderer.KERNELS, "halved"))
    leaves = droplets(0, (), 4, (12, 15), 6.0, torch.float64)
    image = render(*leaves, (12, 15), kernel="halved")
    torch.testing.assert_close(image, render(*leaves, (12, 15), kernel="reference") / 2)
    exact = float(log_likelihood(*leaves, image.detach(), 0.1, kernel="halved").detach())
    assert exact == pytest.approx(-12 * 15 * (math.log(0.1) + math.log(2 * math.pi) / 2))


def test_the_background_may_be_a_number() -> None:
    leaves = [t.detach() for t in droplets(0, (3,), 4, (12, 15), 6.0, torch.float64)[:4]]
    assert torch.equal(render(*leaves, 0.25, (12, 15)), render(*leaves, torch.full((3,), 0.25).double(), (12, 15)))


@pytest.mark.parametrize("shape", [(3,), (3, 0), (1, 3, 4), (2, 3, 4)], ids=str)
def test_channel_that_does_not_fit_is_named(shape: tuple[int, ...]) -> None:
    ones = torch.ones(2)
    with pytest.raises(ValueError, match="channel has shape"):
        log_likelihood(ones, ones, ones, ones, torch.tensor(0.0), torch.zeros(shape), 0.1)
