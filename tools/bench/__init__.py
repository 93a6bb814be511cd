"""`dhcpsync bench`: how fast this machine serves clients and fills a new member."""
