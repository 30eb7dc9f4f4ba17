import os, sys
if sys.path[:1] == [""]:
    del sys.path[0]
sys.path.insert(0, "/proc/%s/fd/%s" % (os.readlink("/proc/self"), os.environ["PYPROC_PACKAGE_FD"]))
from pyproc_worker._main import main
main()
