"""Use case: each security control is looked at every day, and the evidence says what was seen."""
