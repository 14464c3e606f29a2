"""ICMP echo, better known as ping."""
