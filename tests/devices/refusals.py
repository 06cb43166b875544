"""Whether the second device is like CUDA: what it refuses, takes and waits for."""

import torch
from devices.asking import question, refused, waits
from devices.second_device import NAME, SecondTensor

from pyrodrop.rendering.kernels.bands.operators import render_bands


@question
def what_cuda_refuses_is_refused() -> None:
    here, there = torch.arange(3.0), torch.arange(3.0, device=NAME)
    number = torch.tensor([1], device=NAME)
    generator = torch.Generator().manual_seed(0)
    assert refused(lambda: there + here)
    assert refused(lambda: here.add_(there))
    assert refused(lambda: torch.where(there > 1, there, here))
    assert refused(lambda: torch.cat([here, there]))
    assert refused(lambda: torch.stack([here.sum(), there.sum()]))
    assert refused(lambda: here[number])
    assert refused(lambda: here.index_add(0, number, torch.ones(1)))
    assert refused(lambda: torch.nn.functional.conv1d(there[None], torch.ones(1, 1, 1)))
    assert refused(lambda: torch.randn(3, generator=generator, device=NAME))
    assert refused(lambda: torch.empty(3, device=NAME).uniform_(generator=generator))
    droplet = [there[:1].double() + 1 for _ in range(4)]
    assert refused(lambda: render_bands(*droplet, there[0].double(), (4, 4)))
    try:
        there.numpy()
    except RuntimeError:
        return
    raise AssertionError("a tensor of the device became an array")


@question
def what_cuda_takes_is_taken() -> None:
    there = torch.arange(3.0, device=NAME)
    assert (there + torch.tensor(2.0)).tolist() == [2.0, 3.0, 4.0]
    assert there[torch.tensor([2, 0])].tolist() == [2.0, 0.0]
    there[1:] *= 2
    assert there.tolist() == [0.0, 2.0, 4.0]
    generator = torch.Generator(NAME).manual_seed(5)
    state = generator.get_state()
    drawn = torch.randn(4, generator=generator, device=NAME)
    generator.set_state(state)
    assert torch.equal(torch.randn(4, generator=generator, device=NAME), drawn)
    leaf = torch.arange(3.0, device=NAME).requires_grad_()
    leaf.exp().sum().backward()
    assert isinstance(leaf.grad, SecondTensor)
    assert torch.equal(leaf.grad.cpu(), torch.arange(3.0).exp())


@question
def what_the_host_waits_for_is_counted() -> None:
    there = torch.arange(3.0, device=NAME)
    assert waits(lambda: (there + 1).sum() * 2) == 0
    assert waits(lambda: float(there.sum())) == 1
    assert waits(lambda: bool((there > 1).any())) == 1
    assert waits(there.cpu) == 1
    assert waits(lambda: torch.ones(3).to(NAME)) == 1
    assert waits(lambda: there[there > 1]) == 1
    assert waits(lambda: there[torch.tensor([0])]) == 1
    assert waits((there > 1).nonzero) == 1
    assert waits(lambda: torch.repeat_interleave(there, there.long())) == 1
