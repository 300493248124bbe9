"""Tables of papers, as data: NAME.csv with the printed values and NAME.toml with the facts of each table."""

from pathlib import Path

FOLDER = Path(__file__).parent
