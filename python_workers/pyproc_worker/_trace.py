"""The trace context of a call, as OpenTelemetry's current context. A worker that does not import OpenTelemetry pays nothing."""

import sys


def attach(metadata):
    """Make the context in a call's metadata, as it came, current; return what `detach` takes, or None."""
    if "opentelemetry.context" not in sys.modules:
        return None
    try:
        from opentelemetry import context, propagate

        from ._codec import load_json

        return context.attach(propagate.extract(load_json(metadata)))
    except Exception:
        # A call does not fail for its trace.
        return None


def detach(token):
    """Undo `attach`."""
    from opentelemetry import context

    try:
        context.detach(token)
    except Exception:
        # Nor for the end of it.
        pass
