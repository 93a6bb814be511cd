"""The cluster protocol: pure rules over the store port; see docs/architecture.md."""
