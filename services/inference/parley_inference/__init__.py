"""Parley's inference service: talks to models."""
