"""What was promised and where the data live: models, loading, validation."""
