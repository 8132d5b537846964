"""``python -m flake8_mppitfalls`` is the command ``mppitfalls``."""

import sys

from flake8_mppitfalls.cli import main

sys.exit(main())
