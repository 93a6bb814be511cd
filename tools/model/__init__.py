"""Exhaustive checks of small models of the cluster protocol; `dhcpsync model` runs them."""
