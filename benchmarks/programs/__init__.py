"""Programs of many like things, in every shape that may be hard on the analysis.

A function here makes the program of one shape, from the number of things in it.
"""

HEAD = "import multiprocessing\nfrom concurrent.futures import ProcessPoolExecutor\n\n\n"
WORK = "def work(x):\n    return x\n\n\n"


def many(count: int, block: str) -> str:
    """The block again and again, with its number for ``@`` and the next one for ``@@``."""
    return "".join(block.replace("@@", str(i + 1)).replace("@", str(i)) for i in range(count))
