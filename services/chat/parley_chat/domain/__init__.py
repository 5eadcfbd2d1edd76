"""What things are: frozen values, rules, and errors that carry facts. Knows no transport and no storage."""
