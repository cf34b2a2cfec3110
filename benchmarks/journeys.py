"""Lets the scripts here use what the journeys of the tests are made of: importing it puts their folder on the path."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "tests" / "journeys"))
