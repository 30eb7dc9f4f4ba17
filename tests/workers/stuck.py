"""A function in C that sees no signal, beside an ordinary one."""

import hashlib

from pyproc_worker import expose


@expose
def stuck(rounds):
    return hashlib.pbkdf2_hmac("sha256", b"", b"", rounds).hex()


@expose
def quick(value):
    return value
