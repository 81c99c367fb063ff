"""Fresh processes, which share nothing with this one: what starting and holding a model costs by itself."""
