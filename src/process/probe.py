# Runs once per pool in the interpreter that was found, so old versions of Python must parse it too.
# It reads the sources of the package from standard input, and writes a report and the package as a
# zip file.
import json
import os
import sys


def build(sources, out):
    import importlib.util
    import marshal
    import zipfile

    stamp = (1980, 1, 1, 0, 0, 0)
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as package:
        for name in sorted(sources):
            source = sources[name].encode()
            code = compile(source, name, "exec", dont_inherit=True)
            # Flag 1 without flag 2: the interpreter does not compare the hash with the source.
            head = importlib.util.MAGIC_NUMBER + b"\1\0\0\0" + importlib.util.source_hash(source)
            package.writestr(zipfile.ZipInfo(name + "c", stamp), head + marshal.dumps(code))
            # Tracebacks show lines of the source.
            package.writestr(zipfile.ZipInfo(name, stamp), source)


def main():
    report = {
        "version": list(sys.version_info[:3]),
        "implementation": sys.version_info >= (3, 3) and sys.implementation.name or "unknown",
    }
    if sys.version_info >= (3, 9):
        # A list of bytes, because the path may not be UTF-8.
        report["executable"] = list(os.fsencode(sys.executable))
        build(json.load(sys.stdin), os.fdopen(int(os.environ["PYPROC_PACKAGE_FD"]), "wb"))
    with os.fdopen(int(os.environ["PYPROC_REPORT_FD"]), "w") as out:
        json.dump(report, out)


main()
