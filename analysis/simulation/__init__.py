"""The sample world: raw files as ugly as real ones, for real cities, with a policy effect known by construction."""

from analysis.simulation.sample import write_sample
from analysis.simulation.truth import Truth, true_effect
from analysis.simulation.world import World, draw_world

__all__ = ["Truth", "World", "draw_world", "true_effect", "write_sample"]
