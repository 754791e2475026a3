"""Many maps in one command: files, records, processes, clusters."""
