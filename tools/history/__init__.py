"""`dhcpsync config log|diff|rollback` and `dhcpsync audit`: who changed what, at one member."""
