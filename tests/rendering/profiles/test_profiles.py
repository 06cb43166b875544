"""The profiles against closed forms, and the kernel that draws all of them against the definition."""

import math

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, settings
from scipy.integrate import quad
from scipy.interpolate import CubicSpline
from scipy.stats import ncx2
from torch import Tensor

from pyrodrop.rendering import PROFILES, log_likelihood, render
from pyrodrop.rendering.profiles.radial import KNOTS

quiet = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-9}


def value(profile: str, distance: float, r: float, *shape: float) -> float:
    """Height of a profile at a distance, in float64."""
    q = torch.tensor((distance / r) ** 2, dtype=torch.float64)
    return float(
        PROFILES[profile].height(q, torch.tensor(r, dtype=torch.float64), torch.tensor(shape, dtype=torch.float64))
    )


@pytest.mark.parametrize("edge", [0.3, 1.0])
def test_a_disc_is_half_where_the_blur_has_bent_its_edge_to(edge: float) -> None:
    r = 9.0
    half = math.sqrt(r**2 - edge**2)
    assert value("disc", half, r, edge) == pytest.approx(0.5, abs=1e-3)
    steep = (value("disc", half + 1e-5, r, edge) - value("disc", half - 1e-5, r, edge)) / 2e-5
    assert steep == pytest.approx(-1 / (edge * math.sqrt(2 * math.pi)), rel=0.02)


@pytest.mark.parametrize(("share", "off"), [(2.0, 0.011), (3.0, 0.0065), (5.0, 0.002), (10.0, 0.0005)])
def test_a_disc_is_a_hard_disc_that_a_gaussian_has_blurred(share: float, off: float) -> None:
    """A point displaced by that Gaussian falls within r: its squared distance is a noncentral chi-square number."""
    edge = 0.8
    r = share * edge
    distances = np.linspace(0, r + 5 * edge, 200)
    exact = ncx2.cdf((r / edge) ** 2, 2, (distances / edge) ** 2)
    drawn = np.array([value("disc", d, r, edge) for d in distances])
    assert np.abs(drawn - exact).max() < off
    # What a fit of one to the other makes of radius and height, over the plane.
    by_r = np.array([value("disc", d, r * 1.001, edge) - value("disc", d, r / 1.001, edge) for d in distances]) / 0.002
    slopes = np.sqrt(distances)[:, None] * np.stack([by_r, drawn], 1)
    of_radius, of_height = np.linalg.lstsq(slopes, np.sqrt(distances) * (exact - drawn), rcond=None)[0]
    assert abs(of_radius) < 0.007
    assert abs(of_height) < 0.008


def test_a_gaussian_is_half_at_its_half_radius() -> None:
    assert value("gaussian", 3 * PROFILES["gaussian"].half_share, 3.0) == pytest.approx(0.5)


@pytest.mark.parametrize("edge", [0.4, 1.5])
def test_the_pixels_of_a_disc_sum_to_its_area(edge: float) -> None:
    """A blur takes nothing away and adds nothing."""
    r = 12.3
    at = torch.tensor([40.2], dtype=torch.float64)
    shape = torch.tensor([edge], dtype=torch.float64)
    image = render(at, at, torch.tensor([r]).double(), at / 40.2, at[0] * 0, (81, 81), "disc", shape=shape)
    assert float(image.sum()) == pytest.approx(math.pi * r**2, rel=3e-4)


def test_the_curve_of_a_radial_profile_is_a_natural_spline_of_mean_one() -> None:
    heights = [0.7, -0.2, 0.1, 0.9, -0.4]
    spline = CubicSpline(KNOTS, heights, bc_type="natural")
    r, edge = 50.0, 0.5

    def curve(q: float) -> float:
        return value("radial", r * math.sqrt(q), r, edge, *heights) / value("disc", r * math.sqrt(q), r, edge)

    # Over equal areas, which are equal steps in q.
    assert quad(curve, 0, 1, points=KNOTS[1:-1])[0] == pytest.approx(1, abs=1e-9)
    for q in (0.0, 0.1, 0.5, 0.6, 0.99):
        assert curve(q) - curve(0.3) == pytest.approx(float(spline(q) - spline(0.3)), abs=1e-9)
    # A straight line over the distance past the edge, as steep as at it.
    slope = 2 * float(spline(1.0, 1))
    assert (curve(1.02**2) - curve(1.0)) / 0.02 == pytest.approx(slope, rel=1e-6)


@pytest.mark.parametrize("distance", [0.0, 0.7, 2.9, 3.6])
def test_a_radial_profile_without_heights_is_the_disc(distance: float) -> None:
    assert value("radial", distance, 3.0, 0.8, *[0.0] * 5) == value("disc", distance, 3.0, 0.8)
    assert value("radial", distance, 3.0, 0.8, *[2.0] * 5) == pytest.approx(value("disc", distance, 3.0, 0.8))


def scene(seed: int, batch: tuple[int, ...], number: int, size: tuple[int, int], profile: str) -> list[Tensor]:
    g = torch.Generator().manual_seed(seed)

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return low + (high - low) * torch.rand((*batch, *shape), generator=g, dtype=torch.float64)

    x, y = uniform(-0.3 * size[1], 1.3 * size[1], number), uniform(-0.3 * size[0], 1.3 * size[0], number)
    r = uniform(math.log(0.4), math.log(30), number).exp()
    shape = torch.cat([uniform(math.log(0.2), math.log(4), 1).exp(), uniform(-1, 1, len(KNOTS))], -1)
    return [x, y, r, uniform(-1, 1, number), uniform(0, 1), shape[..., : PROFILES[profile].size]]


def test_the_likelihood_of_discs_is_that_of_their_image() -> None:
    *leaves, shape = scene(5, (), 6, (24, 31), "disc")
    channel = torch.rand(24, 31, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    image = render(*leaves, (24, 31), "disc", "reference", shape)
    expected = torch.distributions.Normal(image, 0.3).log_prob(channel).sum()
    assert log_likelihood(*leaves, channel, 0.3, "disc", shape=shape).item() == pytest.approx(expected.item())


@pytest.mark.parametrize(
    ("profile", "shape", "told"),
    [
        ("disc", None, "takes 1 shape"),
        ("radial", torch.ones(1), "takes 6 shape"),
        ("gaussian", torch.ones(1), "takes 0 shape"),
        ("disc", torch.ones(1).double(), "float64"),
        ("square", None, "unknown"),
    ],
)
def test_a_shape_that_does_not_fit_is_refused(profile: str, shape: Tensor | None, told: str) -> None:
    at = torch.ones(2)
    with pytest.raises(ValueError, match=told):
        render(at, at, at, at, at[0], (4, 4), profile, shape=shape)


def test_leading_dimensions_of_the_shape_broadcast_with_those_of_the_droplets() -> None:
    at, shapes = torch.tensor([2.0, 4.0]), torch.tensor([[0.5], [1.5]])
    whole = render(at, at, at, at, 0.0, (6, 7), "disc", shape=shapes)
    alone = [render(at, at, at, at, 0.0, (6, 7), "disc", shape=shape) for shape in shapes]
    assert torch.equal(whole, torch.stack(alone))


def test_profiles_have_no_kink_at_the_centre() -> None:
    for profile, shape in (("disc", [2.0]), ("radial", [2.0, 1.0, 0.0, 0.0, 0.0, 0.0])):
        near = np.array([value(profile, d, 2.5, *shape) for d in (0.0, 1e-4)])
        assert abs(near[1] - near[0]) < 1e-7


def test_the_half_radius_is_the_radius_that_a_person_reads() -> None:
    radii = np.array([6.0, 11.0])
    assert PROFILES["gaussian"].half_radius(radii, np.zeros(0)) == pytest.approx(radii * math.sqrt(2 * math.log(2)))
    assert PROFILES["disc"].half_radius(radii, np.array([0.7])) == pytest.approx(np.sqrt(radii**2 - 0.49), rel=2e-4)
    flat = np.array([0.7, 0.0, 0.0, 0.0, 0.0, 0.0])
    assert PROFILES["radial"].half_radius(radii, flat) == pytest.approx(PROFILES["disc"].half_radius(radii, flat[:1]))
    # A sharp dome, read at half of its mean height and not of its top, ends where it ends.
    dome = np.array([0.4, 0.3, 0.2, 0.0, -0.2, -0.3])
    assert PROFILES["radial"].half_radius(radii, dome) == pytest.approx(radii, rel=0.06)

    # A bright core in a dark ring is read lower than at half its height, the lower the darker the ring.
    def height_read(rim: float) -> float:
        ring = [0.7, 2.3, 2.2, 1.4, 0.2, rim]
        (half,) = PROFILES["radial"].half_radius(radii[1:], np.array(ring))
        return value("radial", half, radii[1], *ring) / value("radial", 0.0, radii[1], *ring)

    assert 0.3 < height_read(0.2) < 0.5
    assert 0 <= height_read(-3.0) < height_read(-1.5) < height_read(-0.8) < 0.45


def test_a_ring_ends_where_its_outer_edge_has_fallen_to_half() -> None:
    """Whatever is within it: nothing, less than nothing, or a lower core."""
    r = 20.0
    for ring in ([-1.7, -1.8, -1.7, -0.9, 6.2], [-1.0, -0.9, -0.8, 0.5, 2.5], [-0.3, -0.3, -0.2, 0.2, 0.8]):
        shape = [0.8, *ring]
        (half,) = PROFILES["radial"].half_radius(np.array([r]), np.array(shape))
        distances = np.linspace(0.6 * r, 1.4 * r, 2001)
        heights = np.array([value("radial", d, r, *shape) for d in distances])
        peak = int(heights.argmax())
        assert value("radial", half, r, *shape) == pytest.approx(heights[peak] / 2, rel=0.02)
        assert half > distances[peak]


def test_outlines_before_the_blur_are_those_of_the_sharp_profile() -> None:
    radii = np.array([6.0, 11.0])
    drawn, sharp = PROFILES["disc"].outlines(radii, np.array([0.9]))
    assert sharp == pytest.approx(radii[None])
    assert drawn == pytest.approx(np.sqrt(radii**2 - 0.81)[None], rel=3e-4)
    assert np.array_equal(*PROFILES["gaussian"].outlines(radii, np.zeros(0)))
    # A bright core in a dark rim has two: where the core ends, and where the rim does.
    drawn, sharp = PROFILES["radial"].outlines(radii, np.array([0.5, 2.0, 2.0, 1.0, -2.0, -3.5]))
    assert drawn.shape == sharp.shape == (2, 2)
    assert sharp[1] == pytest.approx(radii, rel=0.01)
    assert (drawn[0] < 0.9 * drawn[1]).all()
    assert np.abs(drawn[1] - sharp[1]).max() < 0.7 * 0.5
    assert len(PROFILES["radial"].outlines(radii, np.array([0.5, 0.1, 0.1, 0.0, 0.0, 0.1]))[0]) == 1


@pytest.mark.parametrize(("thickness", "core"), [(0.3, 0.0), (0.3, -0.7), (0.5, 0.5)])
def test_a_rim_that_optics_blur_is_told_where_it_ends_itself(thickness: float, core: float) -> None:
    """By ``rimmed``, which is drawn behind optics, exactly."""
    radii, shape = np.array([10.0, 16.0]), np.array([1.0, 1.0, core, thickness])
    drawn, sharp = (of[0] for of in PROFILES["rimmed"].outlines(radii, shape))
    assert sharp == pytest.approx(radii, rel=1e-9)
    assert (drawn > radii - 0.1).all()
    # A core of the other sign is an outline, too.
    assert len(PROFILES["rimmed"].outlines(radii, shape)[1]) == (2 if core < 0 else 1)


def test_a_rim_thinner_than_the_blur_is_a_ring_about_its_middle() -> None:
    shape = np.array([2.0, 2.0, 0.0, 0.05])
    d = np.linspace(0, 40, 4001)
    heights = PROFILES["rimmed"].height_at(d[None], np.array([20.0]), shape)[0]
    assert heights.max() == pytest.approx(1.0, abs=0.01)
    assert d[heights.argmax()] == pytest.approx(19.5, abs=0.15)
    within = d[heights > 0.5]
    assert (within[-1] - within[0]) / 2 == pytest.approx(np.sqrt(2 * np.log(2)) * np.hypot(2.0, 1 / 12**0.5), rel=0.02)


def test_optics_hide_no_more_of_a_rim_than_of_a_disc() -> None:
    """Of a curve that a thin ring has been explained by, amiss, the outline before the blur was further out by half."""
    radii = np.array([40.0, 54.0])
    amiss = np.array([1.13432721, 0.11887079, -1.35104718, 2.53958499, -1.0872653, -0.22041768])
    drawn, sharp = PROFILES["radial"].outlines(radii, amiss)
    disc_drawn, disc_sharp = PROFILES["disc"].outlines(radii, amiss[:1])
    assert (sharp - drawn <= disc_sharp - disc_drawn + 1e-9).all()
