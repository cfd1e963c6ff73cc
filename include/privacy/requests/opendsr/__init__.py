"""OpenDSR 2.0: a vendor-neutral protocol by which controllers send requests and hear of their status.

The published text has defects: each is settled where it shows, and listed in docs/INTEGRATION.md.
"""
