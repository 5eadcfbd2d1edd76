"""Runs Parley on one machine: Envoy and the services as child processes."""
