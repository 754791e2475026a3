"""What the engine says in ASCII, with the signs of the field."""

from chimerax.core.commands import run
from chimerax.map_enhance.scene.engine_text import with_signs
from support import open_map, user_error


def test_units(session):
    assert (
        with_signs("0.6 A, 12 A^3 (3 A) of -20 A^2; 3.8 to 8.2 A.")
        == "0.6 Å, 12 Å³ (3 Å) of -20 Å²; 3.8 to 8.2 Å."
    )
    assert with_signs("sigma 0.6 A (0.6 is the publication's)") == "sigma 0.6 Å (0.6 is the publication's)"


def test_names_stay(session):
    for text in ("#1/A:301 HEM", "map 2 A.mrc", "5 Ab", "chain A of 3", "residue 12 A_long"):
        assert with_signs(text) == text


def test_errors(session):
    open_map(session)
    with user_error("mapcc: resolution 0.01 Å"):
        run(session, "mapcc #1 to #1 resolution 0.01")
