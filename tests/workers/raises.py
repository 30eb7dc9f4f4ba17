from pyproc_worker import expose


class OutOfStock(Exception):
    pass


@expose
def order(item):
    try:
        {}[item]
    except KeyError as error:
        raise OutOfStock("no %s left" % item) from error


@expose
def leave():
    raise SystemExit(3)
