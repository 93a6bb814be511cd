"""Comparing what the members of a group hold: `dhcpsync check`."""
