"""The sugar of RNA (C3'-endo), by the atoms it hangs on, and the four flat bases."""

from __future__ import annotations

import numpy as np

# Atom, the three atoms it hangs on, bond length, angle, torsion.
SUGAR = (
    ("O4'", ("O3'", "C3'", "C4'"), 1.453, 104.5, -157.5),
    ("C2'", ("C5'", "C4'", "C3'"), 1.525, 102.5, -158.0),
    ("C1'", ("C3'", "C4'", "O4'"), 1.412, 109.7, 20.5),
    ("O2'", ("C4'", "C3'", "C2'"), 1.413, 110.5, -82.0),
)
BASE_TORSION = -158.0  # chi, O4'-C1'-N-C

# x and y (A) in the plane of the base, about the middle of a Watson-Crick pair: the standard bases of Olson et al.,
# J. Mol. Biol. 313 (2001), 229.
_BASES = {
    "A": "C1' -2.479 5.346 N9 -1.291 4.498 C8 0.024 4.897 N7 0.877 3.902 C5 0.071 2.771 C6 0.369 1.398 N6 1.611 0.909"
    " N1 -0.668 0.532 C2 -1.912 1.023 N3 -2.320 2.290 C4 -1.267 3.124",
    "G": "C1' -2.477 5.399 N9 -1.289 4.551 C8 0.023 4.962 N7 0.870 3.969 C5 0.071 2.833 C6 0.424 1.460 O6 1.554 0.955"
    " N1 -0.700 0.641 C2 -1.999 1.087 N2 -2.949 0.139 N3 -2.342 2.364 C4 -1.265 3.177",
    "C": "C1' -2.477 5.402 N1 -1.285 4.542 C2 -1.472 3.158 O2 -2.628 2.709 N3 -0.391 2.344 C4 0.837 2.868"
    " N4 1.875 2.027 C5 1.056 4.275 C6 -0.023 5.068",
    "U": "C1' -2.481 5.354 N1 -1.284 4.500 C2 -1.462 3.131 O2 -2.563 2.608 N3 -0.302 2.397 C4 0.989 2.884"
    " O4 1.935 2.094 C5 1.089 4.311 C6 -0.024 5.053",
}


def base_atoms(letter: str) -> tuple[dict[str, np.ndarray], tuple[str, str]]:
    """The atoms (A, z = 0) of a base with its C1', and the two that say how it is turned: N9 and C4, or N1 and C2."""
    words = _BASES[letter].split()
    atoms = {
        name: np.array([float(x), float(y), 0.0])
        for name, x, y in zip(words[::3], words[1::3], words[2::3], strict=True)
    }
    return atoms, ("N9", "C4") if letter in "AG" else ("N1", "C2")
