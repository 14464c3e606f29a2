"""The prober process: runs checks in its own event loop; imports neither Django nor pydantic."""
