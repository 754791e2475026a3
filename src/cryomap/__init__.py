"""The engine: cryo-EM density maps made better, and judged, without ChimeraX.

Modules import what they need and nothing more: `assess` works with numpy, scipy and gemmi alone, only
`networks` and `enhance` need torch.
"""

__version__ = "0.1.0"
