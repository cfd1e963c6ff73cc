"""Benchmarks: the engine against hand-written code doing the same work, side by side in one run."""
