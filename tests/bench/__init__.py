"""Measures the sidecar beside other relays, in one run on one machine. `make bench` runs it; it writes nothing into the repository."""
