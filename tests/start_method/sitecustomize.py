"""Sets the default start method of multiprocessing, in this process and in all its children.

Python imports this module at its start when this folder is on PYTHONPATH. Only the default is
changed, so a program can still choose with set_start_method() or get_context(name).
"""

import os

_name = os.environ.get("MPP_START_METHOD")
if _name:
    from multiprocessing import context

    context._default_context._default_context = context._concrete_contexts[_name]
