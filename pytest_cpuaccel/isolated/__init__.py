"""Fresh processes, which share nothing with this one: they show the start-up time and the memory of one model."""
