"""What inference does: generate, embed, list models."""
