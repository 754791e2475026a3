"""A small complex from ideal geometry: protein with loops, RNA, a ligand and an ion; the demo's sample."""
