"""Several monitors as one: so many of them must be up. Judged from their states by the watch lane, not by a prober."""
