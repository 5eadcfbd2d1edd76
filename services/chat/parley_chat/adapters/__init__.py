"""One file per thing of the world that chat stands on, each the adapter of a port."""
