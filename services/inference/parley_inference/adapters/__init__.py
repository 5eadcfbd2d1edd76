"""Who writes and embeds: one file per provider, and what those files share."""
