"""Numbers that papers printed: read with the facts of their protocols, and compared with each other.

The papers themselves stand in folders that entry points of the group `bench.published` name.
"""

from bench.published.load import papers, published_records
from bench.published.paper import Paper, Value, load_paper

__all__ = ["Paper", "Value", "load_paper", "papers", "published_records"]
