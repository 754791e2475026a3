"""Trust: where an enhanced map keeps to its input, and what it lost or invented."""
