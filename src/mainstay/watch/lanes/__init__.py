"""Loops of the server that watch: results become states, states become events."""
