"""Protocols, one TOML file each, and the one plan that reads them."""

from pathlib import Path

FOLDER = Path(__file__).parent
