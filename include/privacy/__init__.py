"""The privacy domain: typed functions that keep the promises; no Airflow at import time."""
