"""Shared code of the project: the privacy domain and the embedded world."""
