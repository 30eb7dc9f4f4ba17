"""Aggregates orders with the standard library: csv, sqlite3, statistics."""

import csv
import io
import sqlite3
import statistics

from pyproc_worker import expose

COLUMNS = "date TEXT, region TEXT, product TEXT, quantity INTEGER, cents INTEGER"


def read(data: bytes):
    for row in csv.DictReader(io.StringIO(data.decode())):
        cents = round(float(row["unit_price"]) * 100)
        yield row["date"], row["region"], row["product"], int(row["quantity"]), cents


@expose
def totals(data: bytes) -> list:
    """Returns orders, units and revenue of each region and product in a piece of the file."""
    with sqlite3.connect(":memory:") as database:
        database.execute("CREATE TABLE orders (%s)" % COLUMNS)
        database.executemany("INSERT INTO orders VALUES (?, ?, ?, ?, ?)", read(data))
        return database.execute(
            "SELECT region, product, count(*), sum(quantity), sum(quantity * cents) FROM orders GROUP BY 1, 2"
        ).fetchall()


@expose
def spread(path: str, region: str) -> dict:
    """Returns the distribution of the values of a region's orders."""
    with open(path, "rb") as file:
        values = [quantity * cents for _, where, _, quantity, cents in read(file.read()) if where == region]
    centiles = statistics.quantiles(values, n=100)
    return {"median": statistics.median(values), "p95": centiles[94], "largest": max(values)}
