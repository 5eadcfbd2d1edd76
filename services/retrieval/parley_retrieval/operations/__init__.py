"""What the service does: one file per noun, one method per use case."""
