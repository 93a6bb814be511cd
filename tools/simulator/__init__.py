"""Seeded simulation of a whole cluster: production rules on the production store, a virtual clock.

`world` keeps time, randomness and the network; `members` runs the rules of one member; `clients`
are DHCP clients with packets of their own making; `checkers` judge every event by what clients
were told and what disks hold, sharing no code with the rules; `run` plans the faults of a seed.
"""
