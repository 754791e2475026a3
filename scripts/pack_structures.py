"""Pack a folder of PDB/mmCIF structures into the one file that training reads: pack_structures.py FOLDER OUT.npz"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from simulation.structures import pack_folder, unpack


def main() -> None:
    """Pack, and say what was left out."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", help="folder of .pdb, .cif or .ent files, plain or .gz")
    parser.add_argument("output", help="the .npz to write")
    arguments = parser.parse_args()
    for line in pack_folder(arguments.folder, arguments.output):
        print("left out:", line)
    packed = unpack(arguments.output)
    size = Path(arguments.output).stat().st_size / 1e6
    print(f"{len(packed)} structures, {sum(map(len, packed))} atoms, {size:.1f} MB")


if __name__ == "__main__":
    main()
