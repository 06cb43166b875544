"""Droplets drawn on the second device."""

import torch
from devices.asking import question
from devices.second_device import NAME

from pyrodrop.rendering import PROFILES, profile_named, render


def images_alike(profile: str, kernel: str) -> bool:
    """Whether an image and its gradient are those of the CPU."""
    generator = torch.Generator().manual_seed(1)
    x, y, r, a = (
        low + wide * torch.rand(2, 5, generator=generator) for low, wide in ((0, 30), (0, 20), (2, 4), (1, 1))
    )
    shapes = torch.from_numpy(profile_named(profile).initial_shape).float().expand(2, -1)
    made = []
    for device in ("cpu", NAME):
        leaves = [t.clone().to(device).requires_grad_() for t in (x, y, r, a, torch.zeros(2), shapes)]
        *droplets, shape = leaves
        # Compiled kernels are of the CPU alone: the definition is what they draw, too.
        which = "reference" if device == "cpu" else kernel
        image = render(*droplets, (20, 30), profile, which, shape if shape.numel() else None)
        weights = torch.linspace(-1, 1, image.numel()).reshape(image.shape).to(device)
        gradients = torch.autograd.grad((image * weights).sum(), leaves[:5] + leaves[5:] * (shape.numel() > 0))
        made.append([t.detach().cpu() for t in (image, *gradients)])
    return all(torch.allclose(a, b, rtol=1e-3, atol=1e-3) for a, b in zip(*made, strict=True))


@question
def images_are_those_of_the_cpu() -> None:
    for profile in PROFILES:
        for kernel in ("auto", "reference", "windows", "separable"):
            assert images_alike(profile, kernel), (profile, kernel)
