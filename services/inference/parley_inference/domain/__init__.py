"""What prompts, generations and models are, and what can go wrong with them."""
