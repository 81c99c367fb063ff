"""Tools that backends share: graphs, traces, exports, casts; they know no backend."""
