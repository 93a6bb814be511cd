"""A member's store: `agent.port` over SQLAlchemy Core. See store/database.py."""

from store.bindings import BindingCounts
from store.database import Store, create_store, open_store, open_to_read
from store.local import AuditEntry, SnmpUser
from store.transaction import Transaction

__all__ = [
    "AuditEntry",
    "BindingCounts",
    "SnmpUser",
    "Store",
    "Transaction",
    "create_store",
    "open_store",
    "open_to_read",
]
