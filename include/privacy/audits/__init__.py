"""Use case: what is found is compared with what is known; a new way out is an alarm (P3.2)."""
