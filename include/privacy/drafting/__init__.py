"""Use case: a first data map of a database that nobody has mapped, from catalogue and counts over samples."""
