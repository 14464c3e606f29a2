"""The way over from other tools: their files become a Mainstay file to review, with a report on every field.

Nothing here applies anything. A secret of the source is never written: its place takes a reference, and the report
says under which name the value must be kept.
"""
