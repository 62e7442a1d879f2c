"""The collector: sources, a durable buffer, transforms and sinks, as a Vector configuration says."""
