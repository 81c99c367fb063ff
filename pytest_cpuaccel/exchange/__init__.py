"""Values that go to another process or machine: described in JSON and tensors, and restored as if from a stranger."""
