"""Run a command in a new terminal and answer it: debugger.py OUTPUT COMMAND... < STEPS.

STEPS is a JSON array of [text to wait for, keys to send]. Standard output of the command is the
file OUTPUT, everything else the terminal. Prints {"code", "drawn"} as JSON.
"""

import json
import os
import pty
import select
import sys
import time

LIMIT = time.monotonic() + 60

steps, output, command = json.load(sys.stdin), sys.argv[1], sys.argv[2:]
pid, master = pty.fork()
if pid == 0:
    os.dup2(os.open(output, os.O_WRONLY | os.O_CREAT), 1)
    os.execvp(command[0], command)

drawn = b""
seen = 0


def read():
    global drawn
    assert time.monotonic() < LIMIT, drawn.decode(errors="replace")
    if select.select([master], [], [], 0.05)[0]:
        try:
            drawn += os.read(master, 1 << 16)
        except OSError:
            # All processes have closed the terminal.
            return False
    return True


for text, keys in steps:
    while text.encode() not in drawn[seen:] and read():
        pass
    if text.encode() not in drawn[seen:]:
        # The command has ended, or waits no more.
        break
    seen = drawn.index(text.encode(), seen) + len(text)
    os.write(master, keys.encode())
while read():
    pass
code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
print(json.dumps({"code": code, "drawn": drawn.decode(errors="replace")}))
