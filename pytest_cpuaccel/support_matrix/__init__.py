"""The support matrix: tiny models of many architectures under every backend."""
