"""Runs the tests on every Python from 3.9 to 3.13 on this machine.

Usage: `python run_tests.py [unittest arguments]`. With `PYTHON_WITH_LIBRARIES=$(../.ci/libraries)`,
one of them has the libraries whose types workers convert; elsewhere the tests of these are skipped.
"""

import glob
import os
import shutil
import subprocess
import sys
import time

VERSIONS = range(9, 14)
HERE = os.path.dirname(os.path.abspath(__file__))
_ASK = "import sys; print(sys.version_info[1], sys.version.split()[0], sys.executable)"


def interpreters():
    """Return {(minor version, version): path}; the first interpreter of each version counts."""
    candidates = [os.environ.get("PYTHON_WITH_LIBRARIES"), sys.executable]
    for minor in VERSIONS:
        root = os.environ.get("PYENV_ROOT", os.path.expanduser("~/.pyenv"))
        candidates += glob.glob(os.path.join(root, "versions", "3.%d.*" % minor, "bin", "python"))
        candidates.append(shutil.which("python3.%d" % minor))
    candidates += [shutil.which("python3"), "/usr/bin/python3"]
    found = {}
    for path in filter(None, candidates):
        try:
            asked = subprocess.run([path, "-c", _ASK], capture_output=True, text=True, timeout=30)
        except OSError:
            continue
        # The shims of a version manager fail for versions that are not active.
        if asked.returncode == 0:
            minor, version, executable = asked.stdout.strip().split(" ", 2)
            if int(minor) in VERSIONS:
                found.setdefault((int(minor), version), executable)
    return found


def main():
    """Run the tests on each interpreter; exit with 1 if one of them fails."""
    arguments = sys.argv[1:] or ["discover", "-s", "tests", "-t", "."]
    found = interpreters()
    results = []
    for (_minor, version), path in sorted(found.items()):
        print("== CPython %s (%s)" % (version, path), flush=True)
        begun = time.monotonic()
        status = subprocess.run([path, "-W", "error::SyntaxWarning", "-m", "unittest", *arguments], cwd=HERE).returncode
        results.append((version, status, time.monotonic() - begun))
    print("\n%-10s %-8s %s" % ("version", "result", "seconds"))
    for version, status, seconds in results:
        print("%-10s %-8s %.1f" % (version, "ok" if status == 0 else "FAILED", seconds))
    missing = [minor for minor in VERSIONS if minor not in {minor for minor, _ in found}]
    if missing:
        print("not found: " + ", ".join("3.%d" % minor for minor in missing))
    if not results or any(status for _, status, _ in results):
        sys.exit(1)


if __name__ == "__main__":
    main()
