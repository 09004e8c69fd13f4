"""Tests of the checks, each by itself."""
