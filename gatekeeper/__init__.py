"""gatekeeper decides whether a model, dataset, feature view or agent may be promoted."""

__version__ = "0.1.0"
