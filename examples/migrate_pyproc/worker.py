"""Figures of a shop's orders, as written for the Go project pyproc."""

import csv
import os
import random
import statistics

from pyproc_worker import expose, run_worker

with open(os.environ["ORDERS_CSV"], newline="") as file:
    orders = list(csv.DictReader(file))


def values(product):
    found = [int(row["quantity"]) * float(row["unit_price"]) for row in orders if row["product"] == product]
    if not found:
        raise KeyError(product)
    return found


@expose
def predict(req):
    """Fits a line to the units of each month and returns its value for the next month."""
    units = [0] * 12
    for row in orders:
        if row["product"] == req["product"]:
            units[int(row["date"][5:7]) - 1] += int(row["quantity"])
    mean = statistics.fmean(units)
    slope = sum((month - 5.5) * (sold - mean) for month, sold in enumerate(units)) / 143
    return {"last": units[-1], "next": round(mean + slope * 6.5, 1)}


@expose
def interval(req, cancel_event):
    """Returns the 95 % confidence interval of the mean order value, by bootstrapping."""
    known = values(req["product"])
    means: list[float] = []
    while len(means) < req["rounds"]:
        if cancel_event.is_set():
            raise RuntimeError("cancelled after %d rounds" % len(means))
        means.append(statistics.fmean(random.choices(known, k=len(known))))
    centiles = statistics.quantiles(means, n=40)
    return {"low": round(centiles[0], 2), "high": round(centiles[-1], 2)}


if __name__ == "__main__":
    run_worker()
