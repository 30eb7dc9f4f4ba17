from pyproc_worker import expose


@expose
def name():
    return __name__, __package__
