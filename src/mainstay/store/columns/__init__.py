"""The columnar store: tables that capabilities declare, filled by the thousand rows a second, on DuckDB or ClickHouse.

    table.py    what is declared            columns.py   writing, ageing, erasing and reading, over an engine
    engine.py   what an engine does         sql.py       questions, in the words of either engine
    buffer.py   what waits to be written    archive.py   old days as Parquet in a folder or bucket

It knows no table by name. Times are microseconds since the Unix epoch, spans are [start, end).
"""
