"""The models as Pyro draws them, which needs the extra graph."""

import pyro
import pytest
import torch

import pyrodrop

pytest.importorskip("graphviz", reason="the extra graph is not installed")


@pytest.mark.global_rng
def test_the_graph_of_a_fit_has_its_sites_and_its_plate() -> None:
    graph = pyro.render_model(pyrodrop.models.channel_fit, model_args=(16, 12, 3, torch.zeros(12, 16), 0.1)).source
    assert [name for name in ("bg", "x", "y", "r", "amplitude", "obs") if f"\t{name} [" not in graph] == []
    assert "label=droplets" in graph
    assert "r -> obs" in graph
