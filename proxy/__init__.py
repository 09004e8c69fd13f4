"""Earwitness: a sidecar that relays speech WebSockets untouched and tells what ended them."""
