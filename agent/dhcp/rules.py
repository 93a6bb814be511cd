"""What a client's message leads to: RFC 2131 4.3, the draft's section 6, the group's rules 3 and 6.

`classify` tells the kind of a message, and each kind has its handler: a function of what the batch
knows (`agent.dhcp.context`) and the message. Most ask `agent.dhcp.claim` whether the address may be
bound.
"""

from __future__ import annotations

from agent.dhcp.classify import MessageKind
from agent.dhcp.discover import handle_discover
from agent.dhcp.request import (
    handle_init_reboot,
    handle_rebinding,
    handle_renewing,
    handle_selecting,
)
from agent.dhcp.returns import handle_decline, handle_inform, handle_release

HANDLERS = {
    MessageKind.DISCOVER: handle_discover,
    MessageKind.SELECTING: handle_selecting,
    MessageKind.INIT_REBOOT: handle_init_reboot,
    MessageKind.RENEWING: handle_renewing,
    MessageKind.REBINDING: handle_rebinding,
    MessageKind.DECLINE: handle_decline,
    MessageKind.RELEASE: handle_release,
    MessageKind.INFORM: handle_inform,
}
