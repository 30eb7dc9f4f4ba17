"""Reads handwritten digits: images of 8 by 8 pixels from 0 to 16, of the data set that scikit-learn brings along."""

import numpy as np
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from pyproc_worker import expose, setup

digits = load_digits()
# Each worker splits them alike, so none has seen in training what another one is asked.
train_images, test_images, train_answers, test_answers = train_test_split(
    digits.data.astype(np.uint8), digits.target, test_size=0.3, random_state=0
)
model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))


@setup
def train():
    """Runs in each worker before its first call. A model that takes long is trained elsewhere, and loaded here."""
    model.fit(train_images, train_answers)


@expose
def test_set() -> dict:
    """The images that the model was not trained on, and what they show."""
    return {"images": test_images.tolist(), "answers": test_answers.tolist()}


@expose
def predict(image: list) -> int:
    """The digit on an image."""
    return int(model.predict([image])[0])


@expose
def predict_proba(image: list) -> list:
    """How probable each of the ten digits is."""
    return model.predict_proba([image])[0].tolist()


@expose
def predict_all(images: bytes) -> bytes:
    """The digits on many images at once. An image is 64 bytes, a digit one."""
    return model.predict(np.frombuffer(images, np.uint8).reshape(-1, 64)).astype(np.uint8).tobytes()
