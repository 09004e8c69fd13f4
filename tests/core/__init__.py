"""Tests of the core: no socket, no sleep, no real clock."""
