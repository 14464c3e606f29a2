"""The job that cron runs: counts the stock and fills it up."""

from __future__ import annotations

import sys

import psycopg

from demo.estate import Estate


def main() -> int:
    estate = Estate.here()
    if estate.is_broken("cron"):
        print("the warehouse answered 401: the key has expired")
        return 1
    try:
        with psycopg.connect(estate.database) as connection:
            filled = connection.execute("UPDATE product SET stock = 40 + id * 7").rowcount
    except psycopg.OperationalError as error:
        print(f"the database: {str(error).splitlines()[0]}")
        return 1
    print(f"{filled} products are in step with the warehouse")
    return 0


if __name__ == "__main__":
    sys.exit(main())
