"""A worker with a function that may run twice, and one that must not."""

from pyproc_worker import expose

accounts = {}


@expose
def price(item: str) -> int:
    """Reads only: it may run as often as it likes."""
    return len(item) * 100


@expose
def charge(account: str, cents: int) -> str:
    """Changes something outside in real life: it must never run twice for one call."""
    accounts[account] = accounts.get(account, 0) + cents
    return "charged"
