"""The model that a test gets, and the calls that the test makes."""
