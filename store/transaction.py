"""The transaction port (`agent.port.StoreTransaction`), put together from its parts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from store.bindings import BindingRows
from store.columns import BindingColumns
from store.configuration import ConfigurationRows
from store.counts import CountRows
from store.enquiries import EnquiryRows
from store.events import EventRows
from store.group import GroupRows
from store.ownership import OwnershipRows

if TYPE_CHECKING:
    from agent.port import StoreTransaction


class Transaction(
    BindingRows,
    BindingColumns,
    CountRows,
    OwnershipRows,
    ConfigurationRows,
    GroupRows,
    EnquiryRows,
    EventRows,
):
    """Everything that can be asked of the store and written to it, in one transaction."""


if TYPE_CHECKING:

    def _is_the_port(transaction: Transaction) -> StoreTransaction:
        return transaction
