"""The pure vocabulary of Mainstay: no I/O, no Django, no wall clock."""
