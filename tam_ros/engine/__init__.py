"""Engines run a network's four stages on some device; the tracker sees only `engine.base`."""
