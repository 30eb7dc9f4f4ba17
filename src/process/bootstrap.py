import os, sys
if sys.path[:1] == [""]:
    del sys.path[0]
sys.path.insert(0, "/proc/%d/fd/%s" % (os.getpid(), os.environ["PYPROC_PACKAGE_FD"]))
from pyproc_worker._main import main
main()
