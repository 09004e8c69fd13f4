"""make soak: what only shows after many sessions."""
