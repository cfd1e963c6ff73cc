"""Use case: what a restored store does not know (erasures, corrections, objections) is applied again."""
