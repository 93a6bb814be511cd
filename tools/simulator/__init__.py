"""Seeded simulation of a whole cluster: production rules on the production store, a virtual clock.

Being written by the lead (world, network, clients, checkers, run). The protocol's author need only
give `Node` as agreed; tests/sim belongs here too.
"""
