"""The functions of the web application."""

import collections
import re

from pyproc_worker import expose


@expose
def words(req: dict) -> dict:
    """Counts the words of a text."""
    counts = collections.Counter(re.findall(r"\w+", req["text"].lower()))
    return {"words": sum(counts.values()), "most": counts.most_common(req.get("most", 3))}
