"""What has happened at a member, as values and as sentences. See docs/architecture.md, "Events"."""
