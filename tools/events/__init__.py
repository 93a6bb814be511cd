"""`dhcpsync events`: what has happened at a member, from its store."""
