"""The engine: cryo-EM density maps made better, and judged, without ChimeraX.

    >>> from cryomap import assess, enhance, read_map, read_model, write_map
    >>> density = read_map("map.mrc")
    >>> done = enhance(density, resolution=4.2, keep_lost=True)
    >>> write_map(done.result, "enhanced.mrc")
    >>> done.report.method
    'superem'
    >>> 0 < done.report.trust.mean_support <= 1
    True
    >>> compared = assess([density, done.result], read_model("model.pdb"), resolution=4.2, metrics=["fsc"])
    >>> [len(scores.curves) > 0 for scores in compared.maps]
    [True, True]

Modules import what they need and nothing more: `assess` works with numpy, scipy and gemmi alone, only
`networks` and `enhancement` need torch.
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"
__all__ = ["assess", "enhance", "read_map", "read_model", "write_map"]

_PLACES = {
    "assess": "metrics.assess",
    "enhance": "enhancement.trusted",
    "read_map": "density",
    "read_model": "atoms",
    "write_map": "density",
}


def __getattr__(name: str) -> Any:
    """The functions of the public interface, imported when they are first asked for."""
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_PLACES[name]}", __name__), name)
