"""Prints the path of an interpreter that has the packages in a requirements.txt.

That is the running one if it has them, else that of a virtual environment, which is created if
necessary. Progress goes to standard error.

    python3 venv.py REQUIREMENTS.TXT DIRECTORY
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile


def main(requirements, directory):
    if sys.version_info < (3, 9):
        fail("%s is Python %d.%d; 3.9 or later is required" % ((sys.executable,) + sys.version_info[:2]))
    with open(requirements) as file:
        text = file.read()
    names = sorted(set(re.findall(r"^[\w.-]+", text, re.MULTILINE)))
    missing = [name for name in names if not is_installed(name)]
    if not missing:
        print(sys.executable)
        return
    # Every version of Python and of the requirements has its own environment.
    key = hashlib.sha256((sys.version + sys.base_prefix + text).encode()).hexdigest()[:8]
    place = os.path.join(directory, "%s-%s" % (os.path.basename(os.path.dirname(requirements)), key))
    if not os.path.exists(place):
        say("%s lacks %s" % (sys.executable, ", ".join(missing)))
        say("installing the packages in %s into %s; this happens once" % (requirements, place))
        make(requirements, place)
    print(os.path.join(place, "bin", "python"))


def is_installed(name):
    from importlib.metadata import PackageNotFoundError, distribution

    try:
        return bool(distribution(name))
    except PackageNotFoundError:
        return False


def make(requirements, place):
    """Creates the environment under another name first, so that one of this name is complete."""
    os.makedirs(os.path.dirname(place), exist_ok=True)
    half_made = tempfile.mkdtemp(prefix="unfinished-", dir=os.path.dirname(place))
    try:
        run([sys.executable, "-m", "venv", half_made])
        pip = [os.path.join(half_made, "bin", "python"), "-m", "pip", "--no-input", "--disable-pip-version-check"]
        # Building a package would need compilers and take long.
        run(pip + ["install", "--only-binary", ":all:", "-r", requirements])
        os.rename(half_made, place)
    except OSError as error:
        # Another process may have created it in the meantime.
        if not os.path.exists(place):
            fail("failed to create %s: %s" % (place, error))
    finally:
        shutil.rmtree(half_made, ignore_errors=True)


def run(command):
    status = subprocess.call(command, stdin=subprocess.DEVNULL, stdout=2)
    if status:
        fail(
            "`%s` exited with %d; its output is above.\n"
            "It needs the package index. Without it, activate a virtual environment that has the packages."
            % (" ".join(command), status)
        )


def say(text):
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def fail(text):
    sys.exit("error: " + text)


try:
    main(*sys.argv[1:])
except KeyboardInterrupt:
    sys.exit(130)
