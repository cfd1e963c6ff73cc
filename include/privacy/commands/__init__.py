"""Commands that need more than one use case, or none; the others are with their use cases."""
