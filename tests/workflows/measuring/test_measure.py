"""Measuring: the table, the count and the sizes say what is true, and how sure they are."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyro
import pytest
import torch
from PIL import Image
from pyro import poutine
from pyro.infer import MCMC, NUTS, Predictive

import pyrodrop
from pyrodrop.images.simulation.simulate import simulate
from pyrodrop.models.support import in_image
from pyrodrop.workflows.measuring.measure import channels_of, in_one, measure
from pyrodrop.workflows.measuring.measurement import Measurement

QUANTITIES = ("x_px", "y_px", "sigma_px", "amplitude")  # of a Gaussian, whose truth says its own r

HALF = np.sqrt(2 * np.log(2))  # of a Gaussian's r is where it has fallen to half of its height


@pytest.fixture(scope="module")
def known() -> tuple[Measurement, pd.DataFrame]:
    image, truth = simulate(40, (200, 240), seed=4, kind="gray", radius_px=(3.0, 7.0), noise=0.02, pixel_size_um=0.5)
    # The simulation lets centres lie up to half a pixel beyond the last pixel's edge: those are not in the image.
    return measure(image, profile="gaussian"), truth[in_image(truth["x_px"], truth["y_px"], (200, 240))]


def test_the_table_has_the_columns_that_scripts_rely_on(known: tuple[Measurement, pd.DataFrame]) -> None:
    table = known[0].table
    ends = ("", "_sd", "_q05", "_q95")
    quantities = ("x_px", "y_px", "radius_px", "sigma_px", "amplitude")
    expected = ["id", *(f"{name}{end}" for name in quantities for end in ends), "presence", "flags"]
    in_um = ["x_um", "y_um", "radius_um", *(f"diameter_um{end}" for end in ends)]
    assert list(table.columns) == [*expected, *in_um, "kind", "kind_probability"]
    assert table["radius_um"].to_numpy() == pytest.approx(0.5 * table["radius_px"].to_numpy())
    for end in ends:
        assert table[f"diameter_um{end}"].to_numpy() == pytest.approx(table[f"radius_px{end}"].to_numpy(), rel=1e-5)
    assert table["y_px"].is_monotonic_increasing


def test_intervals_hold_the_truth_about_as_often_as_they_say(known: tuple[Measurement, pd.DataFrame]) -> None:
    table, truth = known[0].table, known[1]
    assert len(table) == len(truth)
    nearest = [int(np.argmin(np.hypot(truth["x_px"] - a.x_px, truth["y_px"] - a.y_px))) for a in table.itertuples()]
    aligned = truth.iloc[nearest].reset_index(drop=True)
    aligned["sigma_px"] = aligned["radius_px"]
    held = [(table[f"{name}_q05"] <= aligned[name]) & (aligned[name] <= table[f"{name}_q95"]) for name in QUANTITIES]
    # Of 156 intervals of 90 %, 127 to 151 hold with a probability of 99.9 %.
    assert 127 <= int(np.sum(held)) <= 151


def test_count_and_sizes_agree_with_the_truth(known: tuple[Measurement, pd.DataFrame]) -> None:
    made, truth = known
    assert made.count.quantile(0.05) <= len(truth) <= made.count.quantile(0.95)
    assert made.sizes.unit == "um"
    assert made.sizes["d_1_0"].q05 < 2 * 0.5 * HALF * truth["radius_px"].mean() < made.sizes["d_1_0"].q95
    assert made.image_fit.fits
    assert float(made.reduced_chi_square) == pytest.approx(1, abs=0.05)
    assert made.prediction.shape == (1, *made.size)
    assert made.shape_by_name == {}


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_droplet_that_the_border_cuts_is_one_of_the_image_by_its_centre(seed: int) -> None:
    """Of a larger image only the middle is measured: its border cuts ten droplets or so, half of them from outside."""
    image, truth = simulate(60, (240, 240), seed=seed, kind="gray", radius_px=(3.0, 7.0), noise=0.02)
    made = measure(image.channel("gray")[30:210, 30:210], profile="gaussian")
    places = truth[["x_px", "y_px"]].to_numpy() - 30
    inside = places[((places >= -0.5) & (places <= 179.5)).all(1)]
    likely = made.table[["x_px", "y_px"]].to_numpy()
    apart = np.linalg.norm(inside[:, None] - likely, axis=2)
    assert (apart.min(1) < 1).mean() >= 0.94
    # Reported as droplets of the image are at most two caps of those whose centres lie further out than the fit looks.
    assert abs(len(likely) - len(inside)) <= 2
    assert ((likely >= -0.5) & (likely <= 179.5)).all()


def test_a_saved_measurement_is_read_again(known: tuple[Measurement, pd.DataFrame], tmp_path: Path) -> None:
    known[0].save(tmp_path / "fit.pt")
    again = pyrodrop.load(tmp_path / "fit.pt")
    assert isinstance(again, Measurement)
    pd.testing.assert_frame_equal(again.table, known[0].table)
    assert again.sizes.as_dict() == known[0].sizes.as_dict()
    assert again.names == known[0].names
    assert again.sites.keys() == known[0].sites.keys()
    assert all(torch.equal(again.sites[name], values) for name, values in known[0].sites.items())
    assert torch.equal(again.background, known[0].background)
    assert repr(again) == repr(known[0])


@pytest.mark.parametrize(
    ("profile", "how", "share"),
    [
        ("gaussian", {}, HALF),
        ("disc", {"profile": "disc", "shape": [1.0]}, 1.0),
        ("radial", {"profile": "disc", "shape": [1.0]}, 1.0),
    ],
)
def test_the_radius_is_that_of_half_height_whatever_the_profile(
    profile: str, how: dict[str, object], share: float
) -> None:
    image, truth = simulate(8, (100, 120), seed=5, kind="gray", radius_px=(5.0, 6.0), separation=2.5, noise=0.01, **how)
    table = measure(image, profile=profile).table
    nearest = [int(np.argmin(np.hypot(truth["x_px"] - a.x_px, truth["y_px"] - a.y_px))) for a in table.itertuples()]
    assert len(table) == 8
    seen = table["radius_px"].to_numpy() / truth["radius_px"].to_numpy()[nearest]
    assert np.median(seen) == pytest.approx(share, rel=0.02)
    if profile == "gaussian":
        assert table["sigma_px"].to_numpy() * HALF == pytest.approx(table["radius_px"].to_numpy(), rel=1e-5)
    else:
        assert "sigma_px" not in table


def doubtful(known: tuple[Measurement, pd.DataFrame]) -> Measurement:
    """The same, with 20 presences of 0.8: fewer droplets are counted than there are candidates."""
    made = known[0]
    presence = torch.ones(len(made.presence), dtype=torch.float64)
    presence[-20:] = 0.8
    return replace(made, droplets=made.droplets._replace(presence=presence))


def test_there_is_one_number_of_droplets(known: tuple[Measurement, pd.DataFrame]) -> None:
    made = doubtful(known)
    assert made.n_droplets == made.count.quantile(0.5) == len(made.table) < len(made.candidates)
    pd.testing.assert_frame_equal(made.table, made.candidates.head(made.n_droplets))
    assert f"{made.n_droplets} ({made.count.quantile(0.05)} to {made.count.quantile(0.95)}) droplets" in repr(made)
    # What anyone gets who averages the table's column.
    assert made.sizes["d_1_0"].mean == pytest.approx(made.table["diameter_um"].mean(), rel=1e-9)


def test_those_that_are_counted_come_first() -> None:
    image, _ = simulate(12, (90, 100), seed=8, kind="gray", radius_px=(3.0, 5.0), noise=0.1)
    made = measure(image, profile="gaussian")
    chosen, others = made.presence[: made.n_droplets], made.presence[made.n_droplets :]
    assert not len(others) or float(chosen.min()) >= float(others.max())
    assert made.table["y_px"].is_monotonic_increasing


def test_a_pyro_user_goes_on_from_a_measurement(known: tuple[Measurement, pd.DataFrame]) -> None:
    """Conditioned on its sites, the model says the prediction, with the density that the joint fit went down to."""
    made = known[0]
    trace = poutine.trace(poutine.condition(made.model, made.sites)).get_trace()
    trace.compute_log_prob()
    mean = trace.nodes["obs"]["fn"].mean
    # The joint fit leaves out of a Gaussian what is below 1.2e-4 of its height.
    assert float((mean - made.prediction).abs().max()) < 2e-4
    # In transformed space, and with the constants that the joint fit's energy leaves out.
    n, pixels = len(made.sites["x"]), made.channels.numel()
    scales, root = made.fitted.scales, np.log(2 * np.pi) / 2
    constants = pixels * root + n * (np.log(made.size[0] * made.size[1]) + root)
    constants += (
        n * (np.log(scales.amplitude) + root).sum() + made.sites["bg"][0].numel() * (np.log(scales.spread) + root).sum()
    )
    constants += np.log(2.0) + root
    energy = -float(trace.log_prob_sum()) - sum(float(made.sites[name].log().sum()) for name in ("r", "noise"))
    assert energy - constants == pytest.approx(float(made.losses[-1]), rel=1e-4)


@pytest.mark.global_rng
def test_stock_pyro_samples_around_a_measurement(known: tuple[Measurement, pd.DataFrame]) -> None:
    made = known[0]
    pyro.set_rng_seed(0)
    fixed = {name: value for name, value in made.sites.items() if name not in ("noise", "amplitude")}
    latent = poutine.condition(made.model, fixed)
    start = {"noise": made.sites["noise"].log(), "amplitude": made.sites["amplitude"]}
    mcmc = MCMC(
        NUTS(latent, max_tree_depth=4), num_samples=5, warmup_steps=5, initial_params=start, disable_progbar=True
    )
    mcmc.run()
    drawn = mcmc.get_samples()
    assert drawn["amplitude"].mean(0) == pytest.approx(made.sites["amplitude"], abs=0.1)
    predicted = Predictive(poutine.uncondition(made.model), {k: v[:1] for k, v in drawn.items()})
    assert predicted()["obs"].isfinite().all()


def test_a_droplet_beyond_the_border_is_in_the_model_and_not_in_the_table() -> None:
    image, _ = simulate(60, (240, 240), seed=1, kind="gray", radius_px=(3.0, 7.0), noise=0.02)
    made = measure(image.channel("gray")[30:210, 30:210], profile="gaussian")
    x, y = made.sites["x"], made.sites["y"]
    beyond = (x < -0.5) | (x > 179.5) | (y < -0.5) | (y > 179.5)
    assert beyond.any()
    assert made.candidates[["x_px", "y_px"]].stack().between(-0.6, 179.6).all()  # means of draws
    assert len(made.candidates) < len(beyond)
    trace = poutine.trace(poutine.condition(made.model, made.sites)).get_trace()
    assert np.isfinite(float(trace.log_prob_sum()))


def test_a_measurement_is_what_arviz_works_on(known: tuple[Measurement, pd.DataFrame]) -> None:
    data = pyrodrop.to_arviz(known[0])
    assert data["posterior"]["sigma_px"].sizes["droplet"] == len(known[0].candidates)
    assert data["observed_data"]["obs"].shape == known[0].channels.shape


def test_its_repr_says_how_many_how_large_and_how_far_to_trust_it(known: tuple[Measurement, pd.DataFrame]) -> None:
    first, second, third = repr(known[0]).splitlines()
    assert re.match(rf"Measurement: {known[0].n_droplets} (\(\d+ to \d+\) )?droplets, median diameter ", first)
    assert "µm" in first
    assert "240 × 200 px, profile gaussian" in second
    assert third.strip() == known[0].trust.sentence


def test_the_same_seed_gives_the_same_numbers() -> None:
    image, _ = simulate(6, (60, 80), seed=2, kind="gray", radius_px=(3.0, 5.0))
    one, same, other = (measure(image, profile="gaussian", seed=seed).table for seed in (1, 1, 2))
    pd.testing.assert_frame_equal(one, same)
    assert not np.array_equal(one["x_px_sd"], other["x_px_sd"])


def test_channels_share_centres_and_each_has_its_amplitude() -> None:
    image, _ = simulate(8, (90, 100), seed=7, kind="gray", radius_px=(4.0, 6.0), separation=2.0, noise=0.0)
    clean = image.channel("gray") - 0.14
    noise = 0.01 * torch.randn(2, *clean.shape, generator=torch.Generator().manual_seed(1))
    both = measure(torch.stack([clean, -0.5 * clean]) + noise, profile="gaussian")
    assert both.names == ("0", "1")
    assert len(both.table) == 8
    ratio = both.table["amplitude_1"] / both.table["amplitude_0"]
    assert ratio.to_numpy() == pytest.approx(np.full(8, -0.5), abs=0.05)
    assert both.table["amplitude"].to_numpy() == pytest.approx(
        (both.table["amplitude_0"] + both.table["amplitude_1"]).to_numpy() / 2, rel=1e-4
    )


def test_a_gray_photograph_in_three_equal_channels_is_one_channel() -> None:
    gray = torch.rand(20, 30, generator=torch.Generator().manual_seed(0))
    names, channels = channels_of(pyrodrop.Micrograph(gray[..., None].expand(20, 30, 3).contiguous()))
    assert names == ("red",)
    assert torch.equal(channels, gray[None])


def test_the_channel_to_look_in_is_what_the_channels_share() -> None:
    shared, *noise = torch.randn(4, 40, 40, generator=torch.Generator().manual_seed(0)).double().numpy()
    one = in_one(np.stack([shared + 0.3 * n for n in noise]))
    assert np.corrcoef(one.ravel(), shared.ravel())[0, 1] > 0.97


@pytest.mark.parametrize(
    ("given", "error", "says"),
    [
        ({"profile": "square"}, pyrodrop.SettingError, "expected one of auto, gaussian, disc, radial"),
        ({"pixel_size_um": 0}, pyrodrop.SettingError, "pixel_size_um is 0"),
        ({"seed": -1}, pyrodrop.SettingError, "seed is -1"),
        ({"image": torch.zeros(40, 30, 20)}, pyrodrop.ImageError, "channels to the front"),
        ({"image": torch.full((20, 20), torch.nan)}, pyrodrop.ImageError, "NaN or masked"),
        ({"image": torch.full((20, 20), torch.inf)}, pyrodrop.ImageError, "400 NaN or infinite"),
        ({"image": torch.zeros(5, 5)}, pyrodrop.ImageError, "needs at least 8"),
        ({"image": np.ma.masked_equal(np.ones((2, 20, 20)), 1.0)}, pyrodrop.ImageError, "0 of 400 are left"),
    ],
)
def test_what_cannot_be_measured_is_refused(given: dict[str, object], error: type[Exception], says: str) -> None:
    image = given.pop("image", torch.zeros(20, 20))
    with pytest.raises(error, match=says):
        measure(image, **given)


def test_a_file_is_measured_as_what_is_read_from_it(tmp_path: Path) -> None:
    image, _ = simulate(6, (60, 80), seed=3, kind="gray", radius_px=(4.0, 6.0), noise=0.02)
    path = tmp_path / "droplets.png"
    Image.fromarray((255 * image.pixels[..., 0].clamp(0, 1)).byte().numpy()).save(path)
    of_file, of_image = (pyrodrop.measure(each, profile="gaussian") for each in (path, pyrodrop.read_image(path)))
    pd.testing.assert_frame_equal(of_file.table, of_image.table)
    pd.testing.assert_frame_equal(pyrodrop.measure(str(path), profile="gaussian").table, of_image.table)
    with pytest.raises(pyrodrop.ImageError, match=r"none\.png"):
        pyrodrop.measure(tmp_path / "none.png")
