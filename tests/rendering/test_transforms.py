"""Every derivative that torch can be asked for is right with every kernel: none is zero, and none is refused."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.func import grad, hessian, jacfwd, jacrev, jvp, vjp, vmap

from pyrodrop.rendering import PROFILES, log_likelihood, render

SIZE = (9, 11)
Function = Callable[[Tensor], Tensor]
# Forward mode has torch compile its decompositions, by a way that it will leave.
pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")


def unknowns_of(profile: str, dtype: torch.dtype, batch: tuple[int, ...] = ()) -> Tensor:
    """x, y, r and amplitude of two droplets, the background, and the shared numbers, in one vector each."""
    shape = torch.as_tensor(PROFILES[profile].initial_shape)
    shape = shape + 0.1 * torch.arange(len(shape))
    one = torch.cat([torch.tensor([2.1, 7.0, 3.0, 4.2, 1.7, 2.4, 0.5, -0.8, 0.1]), shape]).to(dtype)
    spread = torch.linspace(0, 0.3, max(1, torch.Size(batch).numel()), dtype=dtype).reshape(*batch, 1)
    return one + spread


def image_of(profile: str, kernel: str) -> Function:
    def image(unknowns: Tensor) -> Tensor:
        x, y, r, a = unknowns[..., :8].unflatten(-1, (4, 2)).unbind(-2)
        shape = unknowns[..., 9:] if PROFILES[profile].size else None
        return render(x, y, r, a, unknowns[..., 8], SIZE, profile, kernel, shape)

    return image


def likelihood_of(profile: str, kernel: str) -> Function:
    def likelihood(unknowns: Tensor) -> Tensor:
        x, y, r, a = unknowns[..., :8].unflatten(-1, (4, 2)).unbind(-2)
        shape = unknowns[..., 9:] if PROFILES[profile].size else None
        channel = torch.linspace(-0.5, 0.5, 99, dtype=unknowns.dtype).reshape(SIZE)
        return log_likelihood(x, y, r, a, unknowns[..., 8], channel, 0.3, profile, kernel, shape)

    return likelihood


def dual(f: Function) -> Function:
    """The derivative along all ones by dual numbers."""

    def derivative(at: Tensor) -> Tensor:
        with forward_ad.dual_level():
            tangent = forward_ad.unpack_dual(f(forward_ad.make_dual(at, torch.ones_like(at)))).tangent
        assert tangent is not None
        return tangent

    return derivative


def gradient_of_gradient(f: Function) -> Function:
    """The gradient of the squared length of the gradient, by torch.autograd."""

    def derivative(at: Tensor) -> Tensor:
        leaf = at.detach().requires_grad_()
        (first,) = torch.autograd.grad(f(leaf).square().sum(), leaf, create_graph=True)
        return torch.autograd.grad(first.square().sum(), leaf)[0]

    return derivative


OF_ANYTHING: dict[str, Callable[[Function], Function]] = {
    "jacfwd": jacfwd,
    "jacrev": jacrev,
    "jvp": lambda f: lambda at: jvp(f, (at,), (torch.ones_like(at),))[1],
    "vjp": lambda f: lambda at: (lambda value, pull: pull(torch.ones_like(value))[0])(*vjp(f, at)),
    "dual numbers": dual,
    "jvp of vjp": lambda f: (
        lambda at: jvp(
            lambda u: (lambda value, pull: pull(torch.ones_like(value))[0])(*vjp(f, u)), (at,), (torch.ones_like(at),)
        )[1]
    ),
    "functional.jacobian": lambda f: lambda at: torch.autograd.functional.jacobian(f, at, strategy="reverse-mode"),
    "functional.jacobian, forward": lambda f: (
        lambda at: torch.autograd.functional.jacobian(f, at, strategy="forward-mode", vectorize=True)
    ),
    "gradient of gradient": gradient_of_gradient,
}
OF_NUMBERS: dict[str, Callable[[Function], Function]] = {
    "grad": grad,
    "hessian": hessian,
    "jacrev of jacrev": lambda f: jacrev(jacrev(f)),
    "grad of grad": lambda f: grad(lambda at: grad(f)(at).square().sum()),
    "functional.hessian": lambda f: lambda at: torch.autograd.functional.hessian(f, at),
}
OF_BATCHES: dict[str, Callable[[Function], Function]] = {
    "vmap of grad": lambda f: vmap(grad(f)),
    "vmap of hessian": lambda f: vmap(hessian(f)),
    "vmap of jacfwd": lambda f: vmap(jacfwd(f)),
    "grad of vmap": lambda f: grad(lambda at: vmap(f)(at).sum()),
    "grad of a batch": lambda f: grad(lambda at: f(at).sum()),
    "jacfwd of a batch": jacfwd,
}


def check(transform: Callable[[Function], Function], fast: Function, exact: Function, at: Tensor) -> None:
    expected = transform(exact)(at)
    assert float(expected.abs().max()) > 0.1
    tolerance = 2e-4 if at.dtype == torch.float32 else 1e-9
    got = transform(fast)(at)
    torch.testing.assert_close(got, expected, rtol=tolerance, atol=tolerance * float(expected.abs().max()))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("profile", list(PROFILES))
@pytest.mark.parametrize("name", list(OF_ANYTHING))
def test_images_are_differentiated_rightly(name: str, profile: str, dtype: torch.dtype) -> None:
    at = unknowns_of(profile, dtype)
    check(OF_ANYTHING[name], image_of(profile, "auto"), image_of(profile, "reference"), at)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("profile", list(PROFILES))
@pytest.mark.parametrize("name", [*OF_ANYTHING, *OF_NUMBERS])
def test_likelihoods_are_differentiated_rightly(name: str, profile: str, dtype: torch.dtype) -> None:
    at = unknowns_of(profile, dtype)
    check((OF_ANYTHING | OF_NUMBERS)[name], likelihood_of(profile, "auto"), likelihood_of(profile, "reference"), at)


@pytest.mark.parametrize("profile", list(PROFILES))
@pytest.mark.parametrize("name", list(OF_BATCHES))
def test_batches_are_differentiated_rightly(name: str, profile: str) -> None:
    at = unknowns_of(profile, torch.float64, (3,))
    check(OF_BATCHES[name], likelihood_of(profile, "auto"), likelihood_of(profile, "reference"), at)


@pytest.mark.parametrize("kernel", ["bands", "windows", "separable"])
def test_a_kernel_that_is_named_is_as_right_as_the_one_that_is_chosen(kernel: str) -> None:
    at = unknowns_of("gaussian", torch.float64)
    for name in ("jacfwd", "jacrev"):
        check(OF_ANYTHING[name], image_of("gaussian", kernel), image_of("gaussian", "reference"), at)


@pytest.mark.parametrize("profile", list(PROFILES))
def test_mapping_alone_leaves_the_kernel_its_speed(profile: str) -> None:
    """Bit for bit what the kernel draws without vmap, which separable and reference would not."""
    at = unknowns_of(profile, torch.float32, (3,))
    assert torch.equal(vmap(image_of(profile, "auto"))(at), image_of(profile, "auto")(at))


@pytest.mark.parametrize("profile", list(PROFILES))
def test_the_likelihood_is_differentiable_by_what_was_observed(profile: str) -> None:
    x, y, r, a = unknowns_of(profile, torch.float64)[:8].unflatten(-1, (4, 2)).unbind(-2)
    shape = torch.as_tensor(PROFILES[profile].initial_shape)
    channel = torch.linspace(-0.5, 0.5, 99, dtype=torch.float64).reshape(SIZE).requires_grad_()
    value = log_likelihood(x, y, r, a, 0.1, channel, 0.3, profile, shape=shape)
    (found,) = torch.autograd.grad(value, channel)
    image = render(x, y, r, a, 0.1, SIZE, profile, shape=shape)
    torch.testing.assert_close(found, (image - channel) / 0.09)
    torch.testing.assert_close(value, log_likelihood(x, y, r, a, 0.1, channel.detach(), 0.3, profile, shape=shape))
