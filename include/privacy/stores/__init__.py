"""The adapters that touch data: PostgreSQL, S3 and Google Cloud Storage."""
