"""Makes the trace context of a call that of OpenTelemetry, if OpenTelemetry is imported."""

import sys


def attach(metadata):
    """Make the trace context in a call's metadata current; return a token for `detach`, or None."""
    if "opentelemetry.context" not in sys.modules:
        return None
    try:
        from opentelemetry import context, propagate

        from ._codec import load_json

        return context.attach(propagate.extract(load_json(metadata)))
    except Exception:
        # A broken trace context must not fail the call.
        return None


def detach(token):
    """Undo `attach`."""
    from opentelemetry import context

    try:
        context.detach(token)
    except Exception:
        # The call has its result.
        pass
