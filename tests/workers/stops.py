"""Functions that stop in a debugger, or ask their user."""

import pdb

from pyproc_worker import expose


@expose
def doubled(x):
    y = x * 2
    breakpoint()
    return y


@expose
def traced(x):
    y = x * 2
    pdb.set_trace()
    return y


@expose
async def raises(x):
    wrong = x + 1
    raise KeyError(wrong)


@expose
def asks():
    return input("name? ")


@expose
def waits():
    ready = "ready"
    print(ready)
    while True:
        pass
