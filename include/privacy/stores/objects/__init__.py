"""What the bucket adapters share: shapes, guards, the sweep, capture times, expiry planning."""
