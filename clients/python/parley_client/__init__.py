"""A typed client for Parley: streams that resume, retries, errors with reasons."""
