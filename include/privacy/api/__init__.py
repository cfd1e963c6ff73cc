"""The doors over HTTP, inside Airflow's API server: our own API and OpenDSR 2.0."""
