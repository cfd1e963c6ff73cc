"""Use case: requests of data subjects and legal holds."""
