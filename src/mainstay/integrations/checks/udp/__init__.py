"""UDP: a packet sent, an answer expected."""
