"""Lineage: from events to a graph, and from the graph to answers."""
