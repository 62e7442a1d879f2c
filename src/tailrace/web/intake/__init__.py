"""Further ways in, in the protocols that shippers speak: one file each, all through one forwarder.

Nothing is kept here. Each door makes lines of JSON of a body and hands them to the pipeline's HTTP
intake; only when that has said that they are durable does the client hear so.
"""
