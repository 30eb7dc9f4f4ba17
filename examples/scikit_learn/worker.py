"""Recognizes handwritten digits from the data set of scikit-learn: 8 by 8 pixels from 0 to 16."""

import numpy as np
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from pyproc_worker import expose, setup

digits = load_digits()
# Every worker splits them in the same way, so no model is tested on its training images.
train_images, test_images, train_answers, test_answers = train_test_split(
    digits.data.astype(np.uint8), digits.target, test_size=0.3, random_state=0
)
model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))


@setup
def train():
    """Runs in each worker before its first call. A larger model would be loaded here, not trained."""
    model.fit(train_images, train_answers)


@expose
def test_set() -> dict:
    """Returns the images that the model was not trained on, and their digits."""
    return {"images": test_images.tolist(), "answers": test_answers.tolist()}


@expose
def predict(image: list) -> int:
    """Returns the digit on an image."""
    return int(model.predict([image])[0])


@expose
def predict_proba(image: list) -> list:
    """Returns the probability of each of the ten digits."""
    return model.predict_proba([image])[0].tolist()


@expose
def predict_all(images: bytes) -> bytes:
    """Returns the digits on many images. An image is 64 bytes, a digit one byte."""
    return model.predict(np.frombuffer(images, np.uint8).reshape(-1, 64)).astype(np.uint8).tobytes()
