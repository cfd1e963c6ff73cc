"""Evidence that nobody can quietly change: checkpoints, certificates of erasure, the promise report."""
