"""What the operations need of the world, as small typed protocols."""
