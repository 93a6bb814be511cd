"""`dhcpsync apply`: the configuration of a group, from a file, by SNMP SET."""
