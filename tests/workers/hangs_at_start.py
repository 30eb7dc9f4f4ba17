"""Hangs before the worker is ready."""

import sys
import time


def load_the_model():
    print("loading", file=sys.stderr, flush=True)
    time.sleep(3600)


load_the_model()
