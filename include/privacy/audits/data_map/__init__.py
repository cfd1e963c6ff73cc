"""Use case: what the stores really hold is compared with the data map (P2.1 to P2.4)."""
