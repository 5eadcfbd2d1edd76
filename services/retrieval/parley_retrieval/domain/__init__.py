"""What documents, passages and terms are, and the rules they keep. Knows no transport, no database and no index."""
