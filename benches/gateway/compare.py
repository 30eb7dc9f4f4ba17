"""Compares the requests per second of `pyproc serve` and mosec under `wrk -c64`: `just bench-gateway`.

It needs wrk and the release build of pyproc. The first run installs mosec into a virtual environment.
"""

import json
import os
import re
import signal
import socket
import statistics
import subprocess
import sys
import time
import urllib.request
import venv

HERE = os.path.dirname(os.path.abspath(__file__))
TARGET = os.environ.get("CARGO_TARGET_DIR", os.path.join(HERE, "..", "..", "target"))
HOME = os.path.join(TARGET, "bench-gateway")
MOSEC = "mosec==0.9.8"
PASSES, SECONDS = 5, 4
BODY = '{"value": 42}'
SCRIPT = 'wrk.method = "POST"\nwrk.headers["Content-Type"] = "application/json"\nwrk.body = %r\n' % BODY
DURATIONS = {"us": 1e-3, "ms": 1.0, "s": 1e3}


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def servers():
    """Return {name: (command, URL of the function)}."""
    python = os.path.join(HOME, "venv", "bin", "python")
    if not os.path.exists(python):
        venv.create(os.path.dirname(os.path.dirname(python)), with_pip=True)
    subprocess.run([python, "-m", "pip", "install", "--quiet", MOSEC], check=True)
    ours, theirs = free_port(), free_port()
    worker = os.path.join(HERE, "..", "workers", "bench.py")
    pyproc = os.path.join(TARGET, "release", "pyproc")
    serve = [pyproc, "serve", worker, "--workers", "2", "--listen", "127.0.0.1:%d" % ours]
    mosec = [python, os.path.join(HERE, "mosec_worker.py"), "--address", "127.0.0.1", "--port", str(theirs)]
    return {
        "pyproc serve": (serve, "http://127.0.0.1:%d/call/predict" % ours),
        MOSEC.replace("==", " "): (mosec, "http://127.0.0.1:%d/inference" % theirs),
    }


def until_it_answers(url):
    """Wait up to 30 s for the right answer; then fail the run."""
    limit = time.monotonic() + 30
    while True:
        request = urllib.request.Request(url, BODY.encode(), {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=5) as answer:
                assert json.load(answer) == {"result": 84}
                return
        except OSError:
            if time.monotonic() > limit:
                raise
            time.sleep(0.1)


def measure(url, script):
    """Return calls/s and the median latency in ms."""
    command = ["wrk", "-t1", "-c64", "-d%ds" % SECONDS, "--latency", "-s", script, url]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    if "Non-2xx" in output:
        sys.exit(output)
    median, unit = re.search(r"50%\s+([\d.]+)(us|ms|s)\b", output).groups()
    return float(re.search(r"Requests/sec:\s+([\d.]+)", output)[1]), float(median) * DURATIONS[unit]


def main():
    os.makedirs(HOME, exist_ok=True)
    script = os.path.join(HOME, "post.lua")
    with open(script, "w") as opened:
        opened.write(SCRIPT)
    started = []
    results = {}
    try:
        for name, (command, url) in servers().items():
            quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
            started.append(subprocess.Popen(command, start_new_session=True, **quiet))
            until_it_answers(url)
            results[name] = (url, [])
        for _ in range(PASSES):
            for url, passes in results.values():
                passes.append(measure(url, script))
    finally:
        for process in started:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    print("| | calls/s, %d passes of %d s in turn | median | p50 |\n| --- | --- | --- | --- |" % (PASSES, SECONDS))
    medians = []
    for name, (_, passes) in results.items():
        rates, times = zip(*passes)
        medians.append(statistics.median(rates))
        rates_text = " · ".join("{:,.0f}".format(round(rate, -2)) for rate in rates)
        print("| %s | %s | %s | %.2f–%.2f ms |" % (name, rates_text, "{:,.0f}".format(round(medians[-1], -2)), min(times), max(times)))
    print("\nratio of the medians: %.1f, on %d cores" % (medians[0] / medians[1], os.cpu_count()))


if __name__ == "__main__":
    main()
