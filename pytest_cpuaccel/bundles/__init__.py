"""Bundles: what a failing verdict leaves behind, so that it can be judged again elsewhere."""
