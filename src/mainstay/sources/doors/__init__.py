"""Where other tools come in: the addresses that their clients expect, answered as those tools answer."""
