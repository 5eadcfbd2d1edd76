"""What chat does, one use case after the other. Knows ports, no technology."""
