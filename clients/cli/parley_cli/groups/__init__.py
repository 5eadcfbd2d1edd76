"""The commands that come in groups, one file each: `parley task add`. What they do is in `commands`."""
