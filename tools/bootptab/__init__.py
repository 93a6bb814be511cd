"""`dhcpsync import bootptab`: static bindings from the file of a BOOTP server."""
