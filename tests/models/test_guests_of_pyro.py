"""Every model under what Pyro offers beyond AutoNormal: guides of full rank and of flows, SVGD, parallel prediction."""

from collections.abc import Callable
from functools import partial

import pyro
import pytest
import torch
from pyro.infer import SVGD, SVI, Predictive, RBFSteinKernel, Trace_ELBO
from pyro.infer.autoguide import AutoIAFNormal, AutoLowRankMultivariateNormal, AutoNormal
from pyro.optim import Adam

from pyrodrop.models import appearance, centres, channel_fit, colours, rendered
from pyrodrop.models.multichannel_fit import measured
from pyrodrop.models.prior_scales import image_scales

W, H, N = 24, 20, 3
CHANNELS = 0.3 + 0.05 * torch.randn(2, H, W, generator=torch.Generator().manual_seed(0))
KNOWN = torch.rand(H, W, generator=torch.Generator().manual_seed(1)) > 0.3
MODELS: dict[str, Callable[[], None]] = {
    "centres": partial(centres, W, H, N),
    "colours": partial(colours, W, H, N),
    "rendered": partial(rendered, W, H, N),
    "channel": partial(channel_fit, W, H, N, CHANNELS[0], 0.05),
    "channels": partial(channel_fit, W, H, N, CHANNELS, 0.05),
    "channels in one pass": partial(channel_fit, W, H, N, CHANNELS, 0.05, False),
    "known pixels": partial(channel_fit, W, H, N, CHANNELS, 0.05, known=KNOWN),
    "measured": partial(measured, CHANNELS, N, image_scales(CHANNELS.double().numpy())),
    "appearance": partial(appearance, CHANNELS, N),
}
EACH_MODEL = pytest.mark.parametrize("model", MODELS.values(), ids=MODELS.keys())
pytestmark = [pytest.mark.global_rng, pytest.mark.filterwarnings("ignore")]


@EACH_MODEL
@pytest.mark.parametrize("guide", [AutoLowRankMultivariateNormal, AutoIAFNormal])
def test_guides_that_know_correlations_take_steps(model: Callable[[], None], guide: type[AutoNormal]) -> None:
    with pyro.get_param_store().scope():
        pyro.set_rng_seed(0)
        svi = SVI(model, guide(model), Adam({"lr": 0.01}), Trace_ELBO())
        losses = torch.tensor([svi.step() for _ in range(2)])
        assert bool(losses.isfinite().all())


@EACH_MODEL
def test_particles_of_svgd_move(model: Callable[[], None]) -> None:
    with pyro.get_param_store().scope():
        pyro.set_rng_seed(0)
        svgd = SVGD(model, RBFSteinKernel(), Adam({"lr": 0.01}), num_particles=3, max_plate_nesting=2)
        svgd.step()
        before = svgd.get_named_particles()["x"].clone()
        svgd.step()
        after = svgd.get_named_particles()["x"]
        assert after.shape[0] == 3
        assert not torch.equal(before, after)


@EACH_MODEL
def test_prediction_in_parallel_has_the_shapes_of_one_by_one(model: Callable[[], None]) -> None:
    with pyro.get_param_store().scope():
        parallel, sequential = (Predictive(model, num_samples=4, parallel=together)() for together in (True, False))
    assert {name: site.shape for name, site in parallel.items()} == {
        name: site.shape for name, site in sequential.items()
    }


@EACH_MODEL
def test_a_model_is_drawn_as_a_graph_of_its_sites(model: Callable[[], None]) -> None:
    with pyro.get_param_store().scope():
        relations = pyro.infer.inspect.get_model_relations(model)
    # Plates that overlap and of which neither holds the other are drawn twice, the second time as a clone.
    plates = relations["plate_sample"].items()
    in_droplets = {site for plate, sites in plates if plate.startswith("droplets") for site in sites}
    assert {"x", "y", "r"} <= in_droplets
    if "obs" in relations["sample_sample"]:
        assert {"x", "y", "r", "bg"} <= set(relations["sample_sample"]["obs"])
