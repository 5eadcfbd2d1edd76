"""What inference needs of the world: somebody who writes, somebody who embeds, somebody who knows which models there are."""
