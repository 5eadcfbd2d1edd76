"""The things of the world behind the ports: one file each."""
