"""What pages say of several servers."""
