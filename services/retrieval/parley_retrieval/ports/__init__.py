"""What the operations need of the world: small typed protocols."""
