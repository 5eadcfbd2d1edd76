"""Parley's chat service: users, sessions, messages and the turn."""
