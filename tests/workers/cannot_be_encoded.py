"""Results that JSON cannot represent, and one that it can."""

from pyproc_worker import expose


@expose
def an_object():
    return object()


@expose
def not_a_number():
    return float("nan")


@expose
def fine():
    return 1
