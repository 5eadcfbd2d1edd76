"""Parley's edge: Envoy's configuration, made from the contracts."""
