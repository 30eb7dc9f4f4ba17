"""Summarizes CSV files with pandas."""

import io

import pandas as pd

from pyproc_worker import expose


@expose
def summary(csv: bytes) -> dict:
    """Returns the rows, the types of the columns, and the distribution of the numbers in them."""
    table = pd.read_csv(io.BytesIO(csv))
    spread = table.describe()
    return {
        "rows": len(table),
        "columns": {name: str(dtype) for name, dtype in table.dtypes.items()},
        # JSON has no NaN.
        "spread": spread.astype(object).where(spread.notna(), None).to_dict(),
    }


@expose
def revenue(csv: bytes) -> dict:
    """Returns the revenue of orders by region and quarter."""
    orders = pd.read_csv(io.BytesIO(csv), parse_dates=["date"])
    orders["quarter"] = orders["date"].dt.to_period("Q").astype(str)
    orders["revenue"] = orders["quantity"] * orders["unit_price"]
    return orders.pivot_table("revenue", "region", "quarter", aggfunc="sum", fill_value=0.0).to_dict("split")
