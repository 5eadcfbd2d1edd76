"""Parley's retrieval service: documents and search."""
