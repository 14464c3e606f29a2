"""A small living estate on loopback with Mainstay beside it, to show and to try: `make demo`.

It sells tea: a web site, an API on PostgreSQL, a worker with a queue, a job run by cron, a mail sink, a model provider
that makes its answers up, and a few visitors. `python -m demo break WHAT` breaks a part of it. Nothing of it is part of
the product, and the product imports nothing of it.
"""
