"""What backends are made with: graphs, traces, exports, casts; they know no backend."""
