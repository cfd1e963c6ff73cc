"""Use case: scheduled retention of databases and backups."""
