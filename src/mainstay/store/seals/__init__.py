"""The journal in sealed segments: closed ranges of entries as signed Parquet files, which outlive their rows.

`documents` signs and reads seals, `files` writes and reads segments, `sealing` makes and thins them, `reading` goes
through the database and then the segments, `proving` verifies both, `forgetting` erases what is about a person.
"""
