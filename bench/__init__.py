"""Benchmarks: what Mainstay must reach, measured on this machine, peers and we in one go.

`python -m bench [NAME...]` prints a table and JSON. A benchmark reports; it never fails a build.
"""
