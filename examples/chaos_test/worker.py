"""A function that may run twice, and one that must not."""

from pyproc_worker import expose

accounts: dict[str, int] = {}


@expose
def price(item: str) -> int:
    """Only reads, so it may run more than once."""
    return len(item) * 100


@expose
def charge(account: str, cents: int) -> str:
    """Stands for a change of something outside, which must never run twice for one call."""
    accounts[account] = accounts.get(account, 0) + cents
    return "charged"
