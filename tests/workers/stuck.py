"""A C function that handles no signal, and an ordinary function."""

import hashlib

from pyproc_worker import expose


@expose
def stuck(rounds):
    return hashlib.pbkdf2_hmac("sha256", b"", b"", rounds).hex()


@expose
def quick(value):
    return value
