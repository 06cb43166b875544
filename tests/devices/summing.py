"""The sums of the joint fit on the second device."""

from typing import Any

import torch
from devices.asking import question, waits
from devices.second_device import NAME
from torch import Tensor

from pyrodrop.joint.sums import entries
from pyrodrop.rendering import PROFILES, Profile
from pyrodrop.rendering.kernels.columns_torch import TorchColumns, columns_by_torch

SIZE, N = (30, 40), 6


def columns_on(device: str, profile: Profile) -> TorchColumns:
    """Droplets that meet, in windows of 15 px a side."""
    generator = torch.Generator().manual_seed(0)
    corners = torch.randint(0, 15, (N, 2), generator=generator)
    box = torch.cat([corners, torch.full((N, 2), 15)], 1)
    x, y = (corners.T + 7.3).double()
    droplets = torch.stack([x, y, torch.full((N,), 3.0).double(), torch.full((N,), 7.0).double()])
    shape = torch.from_numpy(profile.initial_shape)
    before = torch.arange(N + 1) * 225
    return columns_by_torch(profile, *(t.to(device) for t in (droplets, shape, box, before)))


def sums_on(device: str, profile: Profile) -> dict[str, Tensor]:
    """What each sum writes, brought to the CPU."""
    generator = torch.Generator().manual_seed(1)
    amplitude = torch.randn(2, N, generator=generator).double().to(device)
    images = [torch.randn(2, *SIZE, generator=generator).double().to(device) for _ in range(2)]
    weight = torch.tensor([0.5, 2.0]).double().to(device)
    columns = columns_on(device, profile)
    pairs = entries.meetings(columns.box)
    centres = (columns.box[:, :2] + 7.0).double().unbind(1)
    four = (torch.rand(SIZE[1], 4, generator=generator).double().to(device), torch.arange(SIZE[1]).to(device) // 10, 8)
    splines = entries.Splines(*four)
    lags = torch.tensor([[0, 1], [1, -2]]).to(device)
    made: dict[str, Any] = {}

    def out(name: str, *shape: int) -> Tensor:
        made[name] = torch.zeros(*shape, dtype=torch.float64, device=device)
        return made[name]

    entries.paint(columns, amplitude, out("paint", 2, *SIZE))
    entries.paint_shared(columns, amplitude[0], out("paint_shared", profile.size, *SIZE))
    entries.project(columns, images[0], out("project", N, 2, 4))
    entries.gram(columns, pairs, out("gram", len(pairs), 4, 4))
    entries.with_background(columns, splines, splines, out("with_background", N, 4, 64))
    entries.lost_at(*centres, centres[0] / 5, *images, weight, out("lost_at", N))
    entries.change_in(columns.box, torch.zeros_like(pairs[:N, 0]), *images, weight, pairs, 1, out("change_in", 1))
    entries.copy_boxes(columns.box, images[0], out("copy_boxes", 2, *SIZE))
    entries.inflation(columns, images[0][0].square(), lags, weight, out("inflation", N, 4, 3))
    return {name: tensor.cpu() for name, tensor in made.items()}


@question
def the_sums_of_the_joint_fit_are_those_of_the_cpu() -> None:
    for profile in PROFILES.values():
        here, there = sums_on("cpu", profile), sums_on(NAME, profile)
        for name, made in here.items():
            assert torch.allclose(there[name], made, rtol=1e-5, atol=1e-6), (profile.name, name)


@question
def the_host_waits_for_a_sum_once() -> None:
    columns = columns_on(NAME, PROFILES["disc"])
    residual = torch.ones(2, *SIZE, dtype=torch.float64, device=NAME)
    out = torch.zeros(N, 2, 4, dtype=torch.float64, device=NAME)
    assert waits(lambda: entries.project(columns, residual, out)) == 1
