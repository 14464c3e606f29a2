"""Doors of what people declare: pages, API and commands of resources, plans and revisions."""
