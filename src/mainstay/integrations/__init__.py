"""Outside systems, one folder each, behind the ports of the kernel. Imports the kernel only."""
