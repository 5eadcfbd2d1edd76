"""What `parley doctor` looks at, one file per place where things go wrong. Every check returns findings and changes nothing."""
