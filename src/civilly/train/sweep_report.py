"""r"""
def write_report(found, sweep, out): pass
