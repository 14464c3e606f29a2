"""Containers of a Docker engine, or of Podman, on this machine: state, health, restarts."""
