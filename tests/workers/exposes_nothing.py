"""Exposes no function."""

from pyproc_worker import run_worker

run_worker()
