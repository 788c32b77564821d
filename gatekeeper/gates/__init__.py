"""
What each gate computes, one folder a gate: arithmetic, statistics, graphs.

`gatekeeper.collectors.<gate>` holds a gate's models and its `collect`; here is what it works with. Policies only
compare the figures that are made here.
"""
