"""Pack a folder of PDB/mmCIF structures into the one file that training reads: pack_structures.py FOLDER OUT.npz

Validation holds out whole clusters of related entries: those of --relations, or, without it, those that MMseqs2 finds
(30 % identity); where there is neither, entry by entry, so that relatives of what is trained on are validated on.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from cryomap.errors import InputError
from pairs.identity import relatives, sequences_of_file
from simulation.packs import pack, read_folder, unpack, with_clusters, with_relations

IDENTITY = 30.0  # percent


def main(words: list[str] | None = None) -> int:
    """Pack, and say what was left out; 2 where the input can't be used."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="folder of .pdb, .cif or .ent files, plain or .gz")
    parser.add_argument("output", type=Path, help="the .npz to write")
    parser.add_argument(
        "--relations",
        type=Path,
        help="table with the columns pdb_id, cluster, relative_of (maps it is related to)",
    )
    arguments = parser.parse_args(words)
    try:
        structures, left_out = read_folder(arguments.folder)
        if arguments.relations:
            structures = with_relations(structures, arguments.relations)
        elif shutil.which("mmseqs"):
            chains = {f.name.split(".")[0]: sequences_of_file(f) for f in sorted(arguments.folder.iterdir())}
            found = relatives({s.pdb_id: chains[s.pdb_id] for s in structures})
            structures = with_clusters(
                structures, [(r.first, r.second) for r in found if r.identity >= IDENTITY]
            )
        else:
            print("no --relations and no MMseqs2: entries are split one by one, whether related or not")
        pack(structures, arguments.output)
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    for line in left_out:
        print("left out:", line)
    packed = unpack(arguments.output)
    size = arguments.output.stat().st_size / 1e6
    print(f"{len(packed)} structures, {sum(map(len, packed))} atoms, {size:.1f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
