"""Run a command in a new terminal until it draws a text, stop it, and print the state of the terminal.

terminal.py TEXT END COMMAND...: END is a key, or SIGTERM.
"""

import fcntl
import json
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time

LIMIT = time.monotonic() + 60


def read(master):
    """Return what the command draws next; nothing if it draws nothing for a while."""
    assert time.monotonic() < LIMIT, drawn
    ready, _, _ = select.select([master], [], [], 0.05)
    return os.read(master, 1 << 16) if ready else b""


text, end, command = sys.argv[1].encode(), sys.argv[2], sys.argv[3:]
# The slave stays open here, so that the terminal outlives the command.
master, slave = pty.openpty()
fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
before = termios.tcgetattr(slave)
process = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave)
drawn = b""
while text not in drawn:
    drawn += read(master)
    assert process.poll() is None, drawn
raw = termios.tcgetattr(slave) != before
if end == "SIGTERM":
    process.send_signal(signal.SIGTERM)
else:
    os.write(master, end.encode())
while process.poll() is None:
    drawn += read(master)
while rest := read(master):
    drawn += rest
print(json.dumps({
    "code": process.returncode,
    "was_raw": raw,
    "is_as_before": termios.tcgetattr(slave) == before,
    # The previous screen is back, and the cursor is visible.
    "left": drawn.rfind(b"\x1b[?1049l") > drawn.rfind(b"\x1b[?1049h") >= 0,
    "cursor": drawn.rfind(b"\x1b[?25h") > drawn.rfind(b"\x1b[?25l"),
}))
